"""The roles of callers, and what a route needs."""

from typing import Literal, NamedTuple, get_args

from app.settings import Area

# Each includes those before it.
Role = Literal["read", "infer", "build", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)


class Need(NamedTuple):
    """What a route needs of its callers; `is_change` says that the audit has its requests."""

    role: Role
    area: Area | None = None
    is_change: bool = False


def includes(role: Role | None, needed: Role) -> bool:
    """Return whether a caller with a role may do what needs another; None is no role at all.

    >>> includes("build", "read"), includes("read", "build"), includes(None, "read")
    (True, False, False)
    """
    return role is not None and ROLES.index(role) >= ROLES.index(needed)
