"""The API operator: name, SecurityCredential, and the lock after too many wrong passwords."""

from hazina.simulators.daraja.config import CREDENTIAL_ATTEMPTS
from hazina.simulators.daraja.world import World

_WRONG = "credential:wrong"


def find_refusal(world: World, name: str, credential: str) -> str | None:
    """This will return the result code a bad operator gets (2001, 8006), or None when good.

    Runs inside the open transaction: wrong passwords are counted, a good one forgets them. Once
    locked, even the right password gets 8006 until `unlock`.
    """
    wrong = int(world.store.get(_WRONG) or "0")
    if wrong >= CREDENTIAL_ATTEMPTS:
        return "8006"
    if name != world.config.initiator_name:
        return "2001"
    if not world.keys.opens_to(credential, world.config.initiator_password):
        world.store.put(_WRONG, str(wrong + 1))
        return "2001"
    if wrong:
        world.store.put(_WRONG, "0")
    return None


def is_locked(world: World) -> bool:
    """This will tell whether the credential is locked."""
    return int(world.store.get(_WRONG) or "0") >= CREDENTIAL_ATTEMPTS


def unlock(world: World) -> None:
    """This will do what the portal's administrator does after a lock."""
    with world.store.transaction():
        world.store.put(_WRONG, "0")
