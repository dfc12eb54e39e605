"""Plans and applies bulk changes to Autotask PSA: seen first, applied exactly once, resumed after a kill."""

__version__ = "0.1.0"
