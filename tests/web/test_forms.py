"""Forms: what was typed survives, secrets do not, and one form is one act."""

import pytest

from hazina.desk.webkit.forms import (
    Choice,
    FormSpec,
    amount_field,
    check_field,
    choice_field,
    password_field,
)
from hazina.kernel.errors import Invalid, Kind, Refusal
from hazina.kernel.money import KES

AMOUNT = amount_field("amount", "How much", KES, whole=True)
PASSWORD = password_field("password", "Password")
WHERE = choice_field("where", "Where", [Choice("a", "A"), Choice("b", "B")])
PARTIAL = check_field("partial", "Take less")
FORM = FormSpec(AMOUNT, PASSWORD, WHERE, PARTIAL)
GOOD = {"amount": "5000", "password": "s3cret", "where": "a", "key": "0" * 32}


class TestReading:
    def test_good_values_are_typed(self) -> None:
        form = FORM.parse({**GOOD, "partial": "yes"})
        assert form.ok
        assert form.value(AMOUNT) == KES.money("5000")
        assert form.value(PASSWORD) == "s3cret"
        assert form.value(PARTIAL) is True

    def test_an_unticked_box_is_false(self) -> None:
        assert FORM.parse(GOOD).value(PARTIAL) is False

    @pytest.mark.parametrize("text", ["5,000", "KES 5000", " 5000 ", "kes5,000.00", "5 000"])
    def test_people_write_amounts_in_many_ways(self, text: str) -> None:
        assert FORM.parse({**GOOD, "amount": text}).value(AMOUNT) == KES.money("5000")

    @pytest.mark.parametrize(
        "text",
        ["0", "-5", "12.50", "5,00", "1e3", "٣", "five", "9" * 40, "0x10", "5000.001", "+5", "NaN"],
    )
    def test_amounts_that_are_none_are_refused(self, text: str) -> None:
        form = FORM.parse({**GOOD, "amount": text})
        assert not form.ok
        assert form.status == 400
        assert form["amount"].error
        assert form["amount"].value == text

    def test_a_choice_that_was_not_offered_is_refused(self) -> None:
        assert FORM.parse({**GOOD, "where": "c"}).errors == {"where": "Choose one of these."}

    def test_too_long_is_refused_and_cut(self) -> None:
        form = FORM.parse({**GOOD, "amount": "1" * 10_000})
        assert "200" in form.errors["amount"]
        assert len(form["amount"].value) == 201

    def test_control_characters_do_not_survive(self) -> None:
        assert FORM.parse({**GOOD, "amount": "\x00 5\x1b000"})["amount"].value == "5000"

    def test_empty_fields_are_named(self) -> None:
        assert set(FORM.parse({}).errors) == {"amount", "password", "where"}


class TestErrors:
    def test_a_secret_never_comes_back(self) -> None:
        form = FORM.parse({**GOOD, "amount": "x"})
        assert form["password"].value == ""
        assert "password" not in dict(form.carried())

    def test_a_refusal_goes_to_the_field_it_names(self) -> None:
        form = FORM.parse(GOOD)
        form.refuse_with(Invalid.field("amount", "Too little."))
        assert form.errors == {"amount": "Too little."}

    def test_any_other_refusal_stands_above_the_form_with_its_status(self) -> None:
        class Short(Refusal):
            kind = Kind.INSUFFICIENT

        form = FORM.parse(GOOD)
        form.refuse_with(Short("Too little gold."))
        assert not form.ok
        assert form.status == 409


class TestOneAct:
    def test_the_same_key_comes_back_from_a_good_form(self) -> None:
        assert FORM.parse(GOOD).key == GOOD["key"]

    def test_after_an_error_the_next_sending_is_a_new_act(self) -> None:
        assert FORM.parse({**GOOD, "amount": "x"}).key != GOOD["key"]

    def test_blank_forms_and_strange_keys_get_a_fresh_one(self) -> None:
        strange = FORM.parse({**GOOD, "key": "'; drop table"}).key
        assert len({FORM.blank().key, FORM.blank().key, strange}) == 3
