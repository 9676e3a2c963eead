"""Every sentence that leaves the house, in English and Swahili. Pure.

What holds for all of them: no link to follow and no number to call, since a reader who is used to
those follows a thief's as well; nothing is promised that the ledger does not say; a text fits two
SMS. Fields in braces are filled from the message's facts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hazina.kernel.errors import Kind, Refusal


class Language(StrEnum):
    """What a customer reads."""

    EN = "en"  # English
    SW = "sw"  # Swahili


class Group(StrEnum):
    """Why a message is sent, which decides who may switch it off."""

    MONEY = "money"  # money moved or did not: as the customer wishes
    SECURITY = "security"  # somebody changed what guards the account: always, by every channel


class LanguageUnknown(Refusal):
    """The house speaks English and Swahili."""

    code = "language_unknown"
    kind = Kind.INVALID
    message = "That language is not spoken here."
    action = "Choose en or sw."


@dataclass(frozen=True, slots=True)
class Text:
    """One message in one language: a subject for mails and the inbox, and what it says."""

    subject: str
    body: str

    def filled(self, facts: Mapping[str, str]) -> "Text":
        return Text(self.subject.format_map(facts), self.body.format_map(facts))


@dataclass(frozen=True, slots=True)
class Template:
    """One message in both languages."""

    group: Group
    en: Text
    sw: Text

    def text(self, language: Language) -> Text:
        return self.sw if language is Language.SW else self.en


def _money(en: tuple[str, str], sw: tuple[str, str]) -> Template:
    return Template(Group.MONEY, Text(*en), Text(*sw))


_NOT_YOU_EN = " Not you? Open Hazina yourself and freeze your account under Security."
_NOT_YOU_SW = " Si wewe? Fungua Hazina mwenyewe na usimamishe akaunti yako chini ya Usalama."


def _security(en: tuple[str, str], sw: tuple[str, str]) -> Template:
    return Template(
        Group.SECURITY,
        Text(en[0], en[1] + _NOT_YOU_EN),
        Text(sw[0], sw[1] + _NOT_YOU_SW),
    )


TEMPLATES: dict[str, Template] = {
    "deposit_paid": _money(
        ("{amount} received", "{amount} from M-Pesa is in your wallet. Receipt {receipt}."),
        (
            "{amount} zimepokelewa",
            "{amount} kutoka M-Pesa ziko kwenye pochi yako. Risiti {receipt}.",
        ),
    ),
    "deposit_failed": _money(
        ("Deposit not made", "Your deposit of {amount} was not paid. Nothing was added."),
        ("Amana haikufanyika", "Amana yako ya {amount} haikulipwa. Hakuna kilichoongezwa."),
    ),
    "deposit_suspended": _money(
        (
            "Payment kept aside",
            (
                "M-Pesa reported another amount than the {amount} you asked to deposit. The money"
                " is kept aside until one of us has looked at it."
            ),
        ),
        (
            "Malipo yamewekwa kando",
            (
                "M-Pesa imetaja kiasi tofauti na {amount} ulizoomba kuweka. Pesa zimewekwa kando"
                " hadi mmoja wetu azikague."
            ),
        ),
    ),
    "deposit_given_away": _money(
        (
            "{amount} went to another account",
            (
                "Two of us have looked: the {amount} that we kept aside, receipt {receipt}, is"
                " another customer's and was given to them. If that is wrong, tell us."
            ),
        ),
        (
            "{amount} zimeenda kwenye akaunti nyingine",
            (
                "Wawili wetu tumekagua: {amount} tulizoziweka kando, risiti {receipt}, ni za mteja"
                " mwingine na amepewa. Kama si sawa, tuambie."
            ),
        ),
    ),
    "deposit_sent_back": _money(
        (
            "{amount} sent back",
            (
                "M-Pesa has sent the {amount} that we kept aside back to the phone that paid it."
                " Receipt {receipt}."
            ),
        ),
        (
            "{amount} zimerudishwa",
            (
                "M-Pesa imerudisha {amount} tulizoziweka kando kwa simu iliyozilipa. Risiti"
                " {receipt}."
            ),
        ),
    ),
    "clawed_back": _money(
        (
            "{amount} taken back by M-Pesa",
            "M-Pesa reversed the payment {receipt}. {amount} left your wallet with it.",
        ),
        (
            "{amount} zimerudishwa na M-Pesa",
            "M-Pesa imerudisha malipo {receipt}. {amount} zimetoka kwenye pochi yako.",
        ),
    ),
    "clawed_back_owes": _money(
        (
            "{amount} taken back by M-Pesa",
            (
                "M-Pesa reversed the payment {receipt} of {amount}. {owed} of it was spent: you owe"
                " it, and what comes to your wallet repays it first."
            ),
        ),
        (
            "{amount} zimerudishwa na M-Pesa",
            (
                "M-Pesa imerudisha malipo {receipt} ya {amount}. {owed} zilikuwa zimetumika:"
                " unadaiwa, na zitakazoingia zitalipa deni kwanza."
            ),
        ),
    ),
    "withdrawal_paid": _money(
        ("{amount} paid out", "{amount} was paid to {phone} by M-Pesa. Receipt {receipt}."),
        ("{amount} zimelipwa", "{amount} zimelipwa kwa {phone} na M-Pesa. Risiti {receipt}."),
    ),
    "paid_late": _money(
        (
            "{amount} was paid after all",
            (
                "M-Pesa paid you {amount}, receipt {receipt}, after it had told us it did not."
                " {amount} left your wallet for it; we ask no fee."
            ),
        ),
        (
            "{amount} zililipwa",
            (
                "M-Pesa ilikulipa {amount}, risiti {receipt}, baada ya kutuambia haikulipa."
                " {amount} zimetoka kwenye pochi yako; hatutozi ada."
            ),
        ),
    ),
    "paid_late_owes": _money(
        (
            "{amount} was paid after all",
            (
                "M-Pesa paid you {amount}, receipt {receipt}, after it had told us it did not."
                " {owed} of it was spent: you owe it, and what comes to your wallet repays it"
                " first."
            ),
        ),
        (
            "{amount} zililipwa",
            (
                "M-Pesa ilikulipa {amount}, risiti {receipt}, baada ya kutuambia haikulipa."
                " {owed} zilikuwa zimetumika: unadaiwa, na zitakazoingia zitalipa deni kwanza."
            ),
        ),
    ),
    "unpaid": _money(
        (
            "{amount} was never paid",
            (
                "M-Pesa told us that your deposit of {amount} was paid, and has no receipt of it."
                " What we gave you for it left your wallet again."
            ),
        ),
        (
            "{amount} hazikulipwa",
            (
                "M-Pesa ilituambia kuwa {amount} ulizoweka zililipwa, lakini haina risiti yake."
                " Tulizokupa zimetoka tena kwenye pochi yako."
            ),
        ),
    ),
    "unpaid_owes": _money(
        (
            "{amount} was never paid",
            (
                "M-Pesa told us that your deposit of {amount} was paid, and has no receipt of it."
                " {owed} of it was spent: you owe it, and what comes to your wallet repays it"
                " first."
            ),
        ),
        (
            "{amount} hazikulipwa",
            (
                "M-Pesa ilituambia kuwa {amount} ulizoweka zililipwa, lakini haina risiti yake."
                " {owed} zilikuwa zimetumika: unadaiwa, na zitakazoingia zitalipa deni kwanza."
            ),
        ),
    ),
    "withdrawal_failed": _money(
        (
            "Withdrawal not paid",
            "{amount} could not be paid to {phone}. The money is free in your wallet again.",
        ),
        (
            "Malipo hayakufanyika",
            "{amount} hazikuweza kulipwa kwa {phone}. Pesa zimerudi kwenye pochi yako.",
        ),
    ),
    "withdrawal_given_back": _money(
        (
            "{amount} is in your wallet again",
            (
                "M-Pesa told us that it had paid {amount} to {phone}, and never did. The amount and"
                " our fee are in your wallet again."
            ),
        ),
        (
            "{amount} zimerudi kwenye pochi yako",
            (
                "M-Pesa ilituambia kuwa ililipa {amount} kwa {phone}, lakini haikulipa. Kiasi hicho"
                " na ada yetu vimerudi kwenye pochi yako."
            ),
        ),
    ),
    "payment_received": _money(
        ("{amount} received", "{amount} paid to your account number is in your wallet."),
        (
            "{amount} zimepokelewa",
            "{amount} zilizolipwa kwa namba ya akaunti yako ziko kwenye pochi yako.",
        ),
    ),
    "payment_allocated": _money(
        ("{amount} is in your wallet", "We have looked: {amount} that was kept aside is yours."),
        ("{amount} ziko kwenye pochi yako", "Tumekagua: {amount} zilizowekwa kando ni zako."),
    ),
    "gold_bought": _money(
        ("{grams} g of gold bought", "You bought {grams} g of gold for {total}."),
        ("Umenunua dhahabu gramu {grams}", "Umenunua dhahabu gramu {grams} kwa {total}."),
    ),
    "gold_sold": _money(
        ("{grams} g of gold sold", "You sold {grams} g of gold for {total}."),
        ("Umeuza dhahabu gramu {grams}", "Umeuza dhahabu gramu {grams} kwa {total}."),
    ),
    "trade_cancelled": _money(
        (
            "Purchase cancelled",
            "No payment came for {grams} g of gold at {total}, so the gold was let go.",
        ),
        (
            "Ununuzi umefutwa",
            "Hakuna malipo yaliyokuja kwa dhahabu gramu {grams} kwa {total}, hivyo imeachiliwa.",
        ),
    ),
    "trade_kept_as_shillings": _money(
        (
            "Your payment is in your wallet",
            (
                "Your payment came, but the {grams} g of gold could not be had. The shillings are"
                " in your wallet."
            ),
        ),
        (
            "Malipo yako yako kwenye pochi",
            (
                "Malipo yako yamefika, lakini dhahabu gramu {grams} haikupatikana. Shilingi ziko"
                " kwenye pochi yako."
            ),
        ),
    ),
    "sale_failed": _money(
        (
            "Sale not paid",
            "M-Pesa did not pay {total} for your gold. The {grams} g are yours as before.",
        ),
        (
            "Mauzo hayakulipwa",
            "M-Pesa haikulipa {total} kwa dhahabu yako. Gramu {grams} ni zako kama awali.",
        ),
    ),
    "new_device": _security(
        ("New sign-in", "Your account was opened on a new device: {device}, {at}."),
        ("Umeingia kwa kifaa kipya", "Akaunti yako imefunguliwa kwa kifaa kipya: {device}, {at}."),
    ),
    "password_changed": _security(
        ("Password changed", "Your password was changed, {at}."),
        ("Nenosiri limebadilishwa", "Nenosiri lako limebadilishwa, {at}."),
    ),
    "second_factor_on": _security(
        ("Second factor on", "Codes of an app are now asked for, {at}."),
        ("Uthibitisho wa pili umewashwa", "Sasa namba za programu zitaulizwa, {at}."),
    ),
    "second_factor_off": _security(
        ("Second factor off", "Codes of an app are no longer asked for, {at}."),
        ("Uthibitisho wa pili umezimwa", "Namba za programu haziulizwi tena, {at}."),
    ),
    "recovery_codes_made": _security(
        ("New recovery codes", "New recovery codes were made, the old ones are void, {at}."),
        (
            "Namba mpya za dharura",
            "Namba mpya za dharura zimetengenezwa, za zamani ni batili, {at}.",
        ),
    ),
    "recovery_code_used": _security(
        ("Recovery code used", "One of your recovery codes was used, {at}."),
        ("Namba ya dharura imetumika", "Moja ya namba zako za dharura imetumika, {at}."),
    ),
    "api_key_made": _security(
        ("New API key", "An API key was made for your account: {label}, {at}."),
        ("Ufunguo mpya wa API", "Ufunguo wa API umetengenezwa kwa akaunti yako: {label}, {at}."),
    ),
    "payout_phone_added": _security(
        ("New payout phone", "{phone} can be paid from your wallet from {until} on."),
        ("Simu mpya ya kulipwa", "{phone} inaweza kulipwa kutoka pochi yako kuanzia {until}."),
    ),
    "account_frozen": Template(
        Group.SECURITY,
        Text("Account frozen", "Your account is frozen: nothing leaves it until you unfreeze it."),
        Text(
            "Akaunti imesimamishwa",
            "Akaunti yako imesimamishwa: hakuna kinachotoka hadi uifungue tena.",
        ),
    ),
    "account_unfrozen": _security(
        ("Account unfrozen", "Your account is open again, {at}."),
        ("Akaunti imefunguliwa", "Akaunti yako iko wazi tena, {at}."),
    ),
    "account_blocked": Template(
        Group.SECURITY,
        Text(
            "Account stopped",
            "We have stopped your account to look at it, {at}. Nothing leaves it until we are"
            " done; what comes in is booked as always.",
        ),
        Text(
            "Akaunti imezuiwa",
            "Tumezuia akaunti yako ili tuikague, {at}. Hakuna kinachotoka hadi tumalize;"
            " kinachoingia kinawekwa kama kawaida.",
        ),
    ),
    "account_unblocked": Template(
        Group.SECURITY,
        Text("Account open again", "We have looked at your account: it is open again, {at}."),
        Text("Akaunti iko wazi tena", "Tumeikagua akaunti yako: iko wazi tena, {at}."),
    ),
    # The code stops and opens nothing: whoever reads it can only freeze the account.
    "password_reset": Template(
        Group.SECURITY,
        Text(
            "Password reset",
            "Your password was reset, {at}. Nothing can leave your account until {until}. Not you?"
            " Open Hazina yourself, choose Freeze, and enter {code}.",
        ),
        Text(
            "Nenosiri limewekwa upya",
            "Nenosiri lako limewekwa upya, {at}. Hakuna kinachotoka hadi {until}. Si wewe? Fungua"
            " Hazina mwenyewe, chagua Simamisha, na uandike {code}.",
        ),
    ),
}

CODES: dict[str, Template] = {
    "code": Template(
        Group.SECURITY,
        Text(
            "Your Hazina code",
            "{code} is your code to open your account again. It works for 10 minutes. None of us"
            " ever asks for it.",
        ),
        Text(
            "Namba yako ya Hazina",
            "{code} ni namba yako ya kufungua akaunti yako tena. Inafanya kazi kwa dakika 10."
            " Hakuna mmoja wetu atakayeiuliza.",
        ),
    ),
}
