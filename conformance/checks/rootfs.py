"""config.md, root: the file system the container sees as its own."""

from __future__ import annotations

from conformance.registry import MUST, clause, each
from conformance.saboteur import put
from conformance.trial import Trial, expect, require

ROOT = "config.md#root"
EROFS = 30
ENOENT = 2


@clause("config.root.required", MUST, ROOT, "root is required on Linux", broken_by=put("/root", {"path": "rootfs"}))
def root_required(t: Trial) -> None:
    config = t.config()
    del config["root"]
    t.refused(config, "a configuration without root", at_start=True)


@clause("config.root.path.required", MUST, ROOT, "root.path is required", broken_by=put("/root/path", "rootfs"))
def path_required(t: Trial) -> None:
    config = t.config()
    del config["root"]["path"]
    t.refused(config, "a root without path", at_start=True)


@each(
    "config.root.path",
    MUST,
    ROOT,
    "root.path, absolute or relative to the bundle, becomes the container's /",
    {"relative": (False, put("/root/path", "/")), "absolute": (True, put("/root/path", "/"))},
)
def path(t: Trial, absolute: bool) -> None:
    bundle = t.bundle()
    (bundle.rootfs / "marker").write_text("here")
    config = t.config("read:/marker")
    if absolute:
        config["root"]["path"] = str(bundle.rootfs)
    expect(t.run(config, bundle=bundle).deed.get("text"), "here", "a file of the root file system")


@clause(
    "config.root.path.only",
    MUST,
    ROOT,
    "nothing of the host's file system is left to be seen from the container's /",
    broken_by=put("/root/path", "/"),
)
def only_the_root(t: Trial) -> None:
    outside = t.home / "outside"
    outside.write_text("secret")
    seen = t.run(t.config(f"read:{outside}", f"read:/../../..{outside}", "list:/"))
    expect([deed["errno"] for deed in seen.deeds[:2]], [ENOENT, ENOENT], "errno of reading a host's file")


@each(
    "config.root.path.directory",
    MUST,
    ROOT,
    "a directory has to exist at root.path",
    {"missing": ("nowhere", put("/root/path", "rootfs")), "file": ("config.json", put("/root/path", "rootfs"))},
)
def path_directory(t: Trial, path: str) -> None:
    config = t.config()
    config["root"]["path"] = path
    t.refused(config, f"root.path {path!r}", at_start=True)


@clause(
    "config.root.readonly",
    MUST,
    ROOT,
    "with root.readonly the root file system is read-only inside",
    broken_by=put("/root/readonly", False),
)
def readonly(t: Trial) -> None:
    config = t.config("create:/new", "write:/probe=x", "mkdir:/newdir")
    config["root"]["readonly"] = True
    seen = t.run(config)
    require("ro" in seen.mount("/").options, f"/ is mounted {sorted(seen.mount('/').options)}")
    expect([seen.deeds[0]["errno"], seen.deeds[2]["errno"]], [EROFS, EROFS], "errno of creating a file, a directory")


@each(
    "config.root.readonly.default",
    MUST,
    ROOT,
    "root.readonly is false by default",
    {"absent": (None, put("/root/readonly", True)), "false": (False, put("/root/readonly", True))},
)
def readonly_default(t: Trial, value: bool | None) -> None:
    config = t.config("create:/new=text")
    del config["root"]["readonly"]
    if value is not None:
        config["root"]["readonly"] = value
    expect(t.run(config).deed["errno"], 0, "errno of creating a file")
