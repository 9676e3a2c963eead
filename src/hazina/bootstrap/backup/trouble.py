"""Why a copy could not be made or restored, in words for the person who asked for it."""


class BackupTrouble(Exception):
    """The base: nothing was left behind that looks whole."""


class CopyDamaged(BackupTrouble):
    """The copy is not what was written: a file is missing, altered, added, or half of it is."""


class CopyExists(BackupTrouble):
    """There is something where the copy, or what is restored from it, would go."""


class KeysMissing(BackupTrouble):
    """The key file at hand does not open what the copy holds."""


class ToolFailed(BackupTrouble):
    """One of PostgreSQL's programs said no; the text holds its words."""
