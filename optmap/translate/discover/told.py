"""For which version of a package is a file? One that accepts the arguments it gives, where only older versions do."""

from __future__ import annotations

from optmap.diagnostics import VERSION_TOLD
from optmap.mapping.model import MappingSet
from optmap.mapping.versions import key
from optmap.translate.discover.sites import CallSite, Sites
from optmap.translate.findings import Finding
from optmap.translate.options import Options


def told_version(sites: Sites, tables: MappingSet, options: Options) -> tuple[MappingSet, Options, Finding] | None:
    """The tables and options for the version that a file's calls tell by an argument's old name; None where none does."""
    chosen = dict(options.versions)
    for site in sites.calls:
        package = site.api.module.package
        told = _told(site) if chosen.keys().isdisjoint(site.api.framework.facts.covers) else None
        if told is None:
            continue
        name, version = told
        try:
            older = tables.at({**chosen, package: version})
        except ValueError:  # which the tables do not cover
            continue
        message = (
            f"{name} is an argument of {package} {version} or older: the file is read as one for {package} {version}"
        )
        options = options._replace(versions=tuple({**chosen, package: version}.items()))
        return older, options, Finding(VERSION_TOLD, message, site.node)
    return None


def _told(site: CallSite) -> tuple[str, str] | None:
    """An old name of an argument, and the last version that accepts it."""
    for keyword in site.node.keywords:
        for row in site.api.current if keyword.arg not in site.api.by_name else ():
            until = row.was.get(keyword.arg or "")
            *first, last = key(until) if until is not None else (0,)
            if last > 0:
                return str(keyword.arg), ".".join(map(str, (*first, last - 1)))
    return None
