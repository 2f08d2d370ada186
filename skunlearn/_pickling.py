"""What a pickle says of itself: which protocol and which version made it."""

from dataclasses import MISSING, Field, fields
from importlib.metadata import version
from typing import Any, Self

from skunlearn._runtime.warn import warn

__all__ = ["VERSIONS", "FieldsOnly", "check_versions", "with_defaults"]

# The protocol is to be raised when fitted states are laid out in another way.
VERSIONS = {"_skunlearn_version": version("skunlearn"), "_protocol": 1}


def check_versions(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the values of a pickle without versions; warn if they are others.

    Parameters
    ----------
    values : dict
        What the pickle holds.
    name : str
        Name of the class, for the message.
    """
    values = dict(values)
    made_by = {key: values.pop(key, "unknown") for key in VERSIONS}
    if made_by != VERSIONS:
        theirs, ours = made_by.values(), VERSIONS.values()
        warn(
            "a {} that was pickled by skunlearn {} (protocol {}) is read by version {} "
            "(protocol {}). It may fail or answer wrongly: fit it again with this "
            "version.".format(name, *theirs, *ours),
            UserWarning,
        )
    return values


class FieldsOnly:
    """A dataclass that pickles its fields alone.

    What it caches beside them may be written by another thread at the same time.
    """

    def __getstate__(self) -> dict[str, Any]:
        """Return the fields."""
        return {each.name: getattr(self, each.name) for each in fields(self)}  # type: ignore[arg-type]

    def evolved(self, **changes: Any) -> Self:
        """Return what `replace` does, at a third of the time."""
        new, values = object.__new__(type(self)), vars(self)
        names = type(self).__dataclass_fields__  # type: ignore[attr-defined]
        vars(new).update({name: values[name] for name in names})
        vars(new).update(changes)
        return new


def with_defaults(instance: Any) -> Any:
    """Return a dataclass with the fields that it lacks since it was pickled.

    Fields that come with a later version have defaults, which mean what was before.
    """
    missing = [f for f in fields(instance) if f.name not in vars(instance)]
    vars(instance).update({each.name: _find_default(each) for each in missing})
    return instance


def _find_default(each: "Field[Any]") -> Any:
    if each.default_factory is not MISSING:
        return each.default_factory()
    return each.default
