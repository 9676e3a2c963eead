"""A user agent in words a person knows: "Chrome on Android". A hint for a list, never a proof."""

_BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("OPiOS", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
    ("curl", "curl"),
    ("httpx", "A program"),
    ("okhttp", "An app"),
)
_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "Mac"),
    ("CrOS", "ChromeOS"),
    ("KAIOS", "KaiOS"),
    ("Linux", "Linux"),
)


def device_name(user_agent: str | None) -> str:
    """The first browser and system that the text names; order matters, since most name several."""
    text = user_agent or ""
    browser = next((name for mark, name in _BROWSERS if mark in text), "")
    system = next((name for mark, name in _SYSTEMS if mark in text), "")
    if browser and system:
        return f"{browser} on {system}"
    return browser or system or "Unknown device"
