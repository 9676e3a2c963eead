"""Reading phone numbers: every usual spelling of one number is that number, the rest is refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hazina.identity.phones import Phone, PhoneInvalid, parse_phone

MOBILE = st.from_regex(r"[17][0-9]{8}", fullmatch=True).filter(str.isascii)
PREFIXES = st.sampled_from(["", "0", "254", "+254"])
GAPS = st.lists(st.sampled_from(["", "", "", " ", "-"]), min_size=16, max_size=16)


@pytest.mark.parametrize(
    ("text", "e164"),
    [
        ("0712345678", "+254712345678"),
        ("0712 345 678", "+254712345678"),
        ("0712-345-678", "+254712345678"),
        ("712345678", "+254712345678"),
        ("254712345678", "+254712345678"),
        ("+254712345678", "+254712345678"),
        ("+254 712 345 678", "+254712345678"),
        ("+254 0712 345 678", "+254712345678"),
        ("(0712) 345678", "+254712345678"),
        ("  0712345678 ", "+254712345678"),
        ("0110123456", "+254110123456"),
        ("110123456", "+254110123456"),
        ("0100123456", "+254100123456"),  # another operator's: not ours to refuse
        ("0733123456", "+254733123456"),
        ("0771234567", "+254771234567"),
        ("0199123456", "+254199123456"),  # a prefix no table knows yet
    ],
)
def test_one_number_in_each_usual_spelling(text: str, e164: str) -> None:
    assert parse_phone(text).e164 == e164


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "+",
        "07123",
        "07123456789",
        "0612345678",
        "020 2222222",  # a landline
        "0800 723 253",  # toll-free
        "0900 123456",
        "100",
        "+255712345678",
        "+447700900123",
        "0712345678 ext 5",
        "0712345678;ext=1",
        "tel:0712345678",
        "0712345678x",
        "07A2345678",
        "0712345678\n0712345679",
        "0712345678\x00",
        "٠٧١٢٣٤٥٦٧٨",
        "０７１２３４５６７８",
        "7" * 500,
    ],
)
def test_anything_else_is_refused_without_being_quoted(text: str) -> None:
    with pytest.raises(PhoneInvalid) as refused:
        parse_phone(text)
    told = f"{refused.value.message} {refused.value.action} {refused.value.details}"
    assert not any(sign in told.replace("0712 345 678", "") for sign in "٠０")
    assert refused.value.details == {"field": "phone"}


@given(national=MOBILE, prefix=PREFIXES, gaps=GAPS)
def test_every_spelling_of_a_mobile_number_reads_as_that_number(
    national: str, prefix: str, gaps: list[str]
) -> None:
    digits = prefix + national
    spaced = digits[0] + "".join(gap + sign for gap, sign in zip(gaps, digits[1:], strict=False))
    phone = parse_phone(spaced)
    assert phone.e164 == f"+254{national}"
    assert phone.msisdn == f"254{national}"
    assert parse_phone(phone.e164) == phone


@given(st.text(max_size=40) | st.text(alphabet=string.digits + "+ -()./", max_size=40))
def test_whatever_is_typed_is_one_kenyan_mobile_number_or_refused(text: str) -> None:
    try:
        phone = parse_phone(text)
    except PhoneInvalid:
        return
    assert len(phone.e164) == 13
    assert phone.e164[:5] in ("+2541", "+2547")
    # Nothing was added and nothing dropped: the typed digits end in the number.
    typed = "".join(sign for sign in text if sign in string.digits)
    assert typed.endswith(phone.e164[4:])
    assert typed.removesuffix(phone.e164[4:]) in ("", "0", "254", "2540")


def test_a_phone_shows_itself_masked_only() -> None:
    phone = Phone("+254712345678")
    assert str(phone) == phone.masked == "+254 7•• ••• 678"
    assert "712345678" not in f"{phone!r} {phone} {[phone]}"
