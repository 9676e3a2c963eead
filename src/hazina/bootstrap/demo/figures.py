"""What the story comes to, worked out by hand; nothing here is computed by the house.

Prices: a gram is bought for 13,480.00 and sold for 12,900.00; mid is 13,190.00. Grams round down to
the microgram, payouts down to the shilling (M-Pesa) or the cent (wallet), worth and mid half-even.
"""

from dataclasses import dataclass

BUY, SELL = "13480.00", "12900.00"


@dataclass(frozen=True, slots=True)
class Deal:
    """One kind of trade; all texts as the wire writes them."""

    grams: str
    total: str
    spread: str
    rounding: str


# 5000 / 13480 = 0.3709198… → 0.370919 g
# worth 0.370919 × 13480 = 4999.98812 → 4999.99; mid 0.370919 × 13190 = 4892.42161 → 4892.42
# spread 4999.99 − 4892.42 = 107.57; rounding 5000.00 − 4999.99 = 0.01
BUY_5000 = Deal("0.370919", "5000.00", "107.57", "0.01")

# half of 0.370919, down: 0.185459 g; × 12900 = 2392.4211 → worth 2392.42, paid 2392 whole
# mid 0.185459 × 13190 = 2446.20421 → 2446.20; spread 2446.20 − 2392.42 = 53.78; rounding 0.42
SELL_HALF = Deal("0.185459", "2392.00", "53.78", "0.42")

# 0.051234 × 12900 = 660.9186 → worth 660.92, to the wallet 660.91
# mid 0.051234 × 13190 = 675.77646 → 675.78; spread 675.78 − 660.92 = 14.86; rounding 0.01
SELL_BIT = Deal("0.051234", "660.91", "14.86", "0.01")

# 1000 / 13480 = 0.0741839… → 0.074183 g
# worth 0.074183 × 13480 = 999.98684 → 999.99; mid 0.074183 × 13190 = 978.47377 → 978.47
# spread 999.99 − 978.47 = 21.52; rounding 0.01
BUY_1000 = Deal("0.074183", "1000.00", "21.52", "0.01")

# 0.05 × 12900 = 645.00; mid 0.05 × 13190 = 659.50; spread 14.50; rounding 0
SELL_645 = Deal("0.050000", "645.00", "14.50", "0.00")

# 2000 / 13480 = 0.1483679… → 0.148367 g
# worth 0.148367 × 13480 = 1999.98716 → 1999.99; mid 0.148367 × 13190 = 1956.96073 → 1956.96
# spread 1999.99 − 1956.96 = 43.03; rounding 0.01
BUY_2000 = Deal("0.148367", "2000.00", "43.03", "0.01")

WITHDRAWN = "600.00"
MISPAID = "999.00"
UNASKED = "750"  # from the phone's menu, and what repays a debt

# The buyer in the story: 0.370919 − 0.185459 = 0.185460; − 0.051234 = 0.134226
GRAMS_AFTER_HALF = "0.185460"
GRAMS_AFTER_BIT = "0.134226"
SHILLINGS_AFTER_BIT = "660.91"
SHILLINGS_AFTER_WITHDRAWAL = "60.91"  # 660.91 − 600.00
# Their phone: 100000 − 5000 = 95000; + 2392 = 97392; + 600 = 97992
HANDSET_AFTER_BUY, HANDSET_AFTER_SALE = "95000.00", "97392.00"
HANDSET_AFTER_WITHDRAWAL = "97992.00"

# In each of the three kills the buyer buys for 2000 and sells 0.05 g for 645:
# 0.134226 + 0.148367 − 0.050000 = 0.232593; 0.330960; 0.429327
GRAMS_AFTER_KILL = ("0.232593", "0.330960", "0.429327")
# 97992 − 2000 + 645 = 96637; 95282; 93927
HANDSET_AFTER_KILL = ("96637.00", "95282.00", "93927.00")

# A phone that starts with 100000 and pays 1000, or 999, or nothing; and is paid 645 after it.
HANDSET_UNTOUCHED, HANDSET_PAID = "100000.00", "99000.00"
HANDSET_MISPAID, HANDSET_PAID_AND_SOLD = "99001.00", "99645.00"
GRAMS_PAID_AND_SOLD = "0.024183"  # 0.074183 − 0.050000

# What the lots hold when too much is asked for: 1000 + 150 + 0.2 = 1150.2 in the vault, of which
# the buyer has 0.134226.
GRAMS_FOR_SALE = "1150.065774"

# Every purchase: 1 of 5000; 10 of 1000 (twice told, told late, told after the end, response lost,
# never told, forged, one key twice, and those of the three payouts); 3 of 2000.
# Every sale: the half, the bit, 5 of 645 (response lost, never told, three kills).
#
# The worst of it, shillings alone: 5 pay 1000 in (gate, again, queue, declined, taken-back); one
# pays 750 from the menu; 3 withdraw 600 (queue, declined, taken-back); 1000 are taken back, of
# which 400 are there and 600 owed; 750 repay that.
#
# working = collection + in transit: 5000 + 10 × 1000 + 999 + 3 × 2000 = 21999;
#     + 5 × 1000 + 750 − 1000 + 750 = 27499
# utility: 5000000 − 2392 − 600 − 5 × 645 − 3 × 600 = 4991983
# charges: 9 (2392) + 5 (600) + 5 × 5 (645) + 3 × 5 (600) = 54
WORKING, UTILITY, CHARGES = "27499.00", "4991983.00", "-54.00"
# payments in: 1 + 10 + 1 (mispaid) + 3 + 5 + 1 (menu) + 1 (repays);
# out: the half, the withdrawal, 5 of 645, 3 of 600
PAYMENTS = 32
# bank: 6000000 − 5000000
# gold:position: 4892.42 + 10 × 978.47 + 3 × 1956.96 = 20548.00 bought at mid;
#     2446.20 + 675.78 + 5 × 659.50 = 6419.48 sold at mid; 20548.00 − 6419.48 = 14128.52
# spread: 107.57 + 10 × 21.52 + 3 × 43.03 = 451.86; 53.78 + 14.86 + 5 × 14.50 = 141.14; 593.00
# rounding: 0.01 + 10 × 0.01 + 3 × 0.01 = 0.14; 0.42 + 0.01 = 0.43; 0.57
# wallets: 60.91 (the buyer's) + 1000 (gate) + 750 (menu) + 1000 (again) + 400 (queue)
#     + 400 (declined) + 150 (taken-back) = 3760.91
# 27499 + 4991983 + 1000000 + 54 − 54 = 6019482.00 owned;
# 6000000 + 999 + 14128.52 + 593.00 + 0.57 + 3760.91 = 6019482.00 owed
KES_BALANCES = {
    "bank": "1000000.00",
    "expense:mpesa": "54.00",
    "gold:position": "14128.52",
    "income:fees": "0.00",
    "income:gold-spread": "593.00",
    "mpesa:charges": CHARGES,
    "mpesa:utility": UTILITY,
    "owner:capital": "6000000.00",
    "payable:tax": "0.00",
    "receivable:customer": "0.00",
    "rounding": "0.57",
    "suspense:mpesa": MISPAID,
    "wallet": "3760.91",
}
# grams with customers: 0.429327 (buyer) + 10 × 0.074183 − 2 × 0.050000 = 1.071157
# grams in lots: 1000 + 150 + 0.2 − 1.071157 = 1149.128843
XAU_BALANCES = {
    "lot": "1149.128843",
    "rounding": "0.000000",
    "vault": "1150.200000",
    "wallet": "1.071157",
}
