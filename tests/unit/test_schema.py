"""What the migrations say of themselves, read as text, is what Alembic makes of them."""

from alembic.util import to_tuple

from hazina.bootstrap.migrate import script
from hazina.bootstrap.schema import expected_heads, known_revisions, revisions


def test_every_revision_and_what_it_comes_after_is_as_alembic_has_it() -> None:
    ours = {one.name: one.after for one in revisions()}
    theirs = {
        one.revision: {*to_tuple(one.down_revision, ()), *to_tuple(one.dependencies, ())}
        for one in script().walk_revisions()
    }
    assert ours == theirs
    assert known_revisions() == set(theirs)


def test_the_heads_are_alembics_but_for_those_that_another_branch_implies() -> None:
    heads = set(script().get_heads())
    assert expected_heads() <= heads
    implied = heads - expected_heads()
    assert implied <= {name for one in revisions() for name in one.after}
