"""Owns a change-control sheet on which nothing changed, for tests of other gates."""

from ladnn.governance.change_control import ChangeItem, ChangeSheet

UNCHANGED = ChangeSheet(
    champion="b-0",
    items=(ChangeItem(what="backbone", before="lite0", now="lite0", allowed="lite0", inside=True),),
)
