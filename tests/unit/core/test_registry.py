"""A registry names the package of a plug-in that cannot be loaded."""

from importlib.metadata import EntryPoint

import pytest

from voxnas.core import registry
from voxnas.core.errors import UserError


@pytest.mark.parametrize("value", ["absent_module:name", "math:absent", "this is no module"])
def test_a_broken_plug_in_is_named_with_its_package(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Package:
        name = "voxnas-broken"

    entry = EntryPoint("broken", value, "voxnas.test")
    vars(entry).update(dist=Package)
    monkeypatch.setattr(registry, "entry_points", lambda group: [entry])
    plug_ins: registry.Registry[object] = registry.Registry("strategy", "voxnas.test")
    with pytest.raises(UserError, match=r"strategy 'broken' of the package 'voxnas-broken' cannot be loaded"):
        list(plug_ins)
