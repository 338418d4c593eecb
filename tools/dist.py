#!/usr/bin/env python3
"""Plugin archives as the engine downloads them, with checksums and bills of materials.

    tools/dist.py [--out dist] [--platform linux-amd64 ...]     builds and packs
    tools/dist.py --binary PATH [--out dist]                    packs what is built already
    tools/dist.py --checksums                                   joins what several machines built, and fails if a platform is missing
    tools/dist.py --check                                       builds here and in a fresh clone, and compares

Two builds of one commit with one toolchain give the same bytes: paths are remapped, entries sorted, and every time is
SOURCE_DATE_EPOCH, which defaults to the commit's.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from pathlib import Path

import sbom

ROOT = Path(__file__).resolve().parents[1]
NAME = "pulumi-resource-ptd"
#: As Pulumi names platforms, and as Rust does.
PLATFORMS = {
    "linux-amd64": "x86_64-unknown-linux-gnu",
    "linux-arm64": "aarch64-unknown-linux-gnu",
    "darwin-amd64": "x86_64-apple-darwin",
    "darwin-arm64": "aarch64-apple-darwin",
}
#: Users wait for the download, and other plugins of this kind are as large.
LARGEST = 11_000_000


def output(*command: str | Path, cwd: Path = ROOT) -> str:
    return subprocess.run([*map(str, command)], cwd=cwd, text=True, capture_output=True, check=True).stdout.strip()


def version(root: Path = ROOT) -> str:
    return tomllib.loads((root / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def host() -> str:
    triple = next(line.split()[1] for line in output("rustc", "-vV").splitlines() if line.startswith("host:"))
    return next((platform for platform, known in PLATFORMS.items() if known == triple), triple)


def epoch() -> int:
    return int(os.environ.get("SOURCE_DATE_EPOCH") or output("git", "log", "-1", "--format=%ct"))


def build(platform: str, root: Path = ROOT) -> Path:
    """The release binary, with no trace of where it was built."""
    triple = PLATFORMS[platform]
    if not Path(output("rustc", "--print", "target-libdir", "--target", triple)).is_dir():
        sys.exit(f"{platform}: the standard library is missing (rustup target add {triple}); a linker for it is needed as well")
    cargo_home = Path(os.environ.get("CARGO_HOME") or Path.home() / ".cargo")
    remapped = {
        root: "/ptd",
        cargo_home: "/cargo",
        Path(output("rustc", "--print", "sysroot")) / "lib/rustlib/src/rust": "/rust",
    }
    flags = [f"--remap-path-prefix={path}={name}" for path, name in remapped.items()]
    target = root / "target/dist"
    env = os.environ | {
        "CARGO_ENCODED_RUSTFLAGS": "\x1f".join(flags),
        # What C compilers put into the objects of `ring`.
        "CFLAGS": " ".join(f"-ffile-prefix-map={path}={name}" for path, name in remapped.items()),
        "CARGO_TARGET_DIR": str(target),
        "CARGO_INCREMENTAL": "0",
        "SOURCE_DATE_EPOCH": str(epoch()),
        "LC_ALL": "C",
        "TZ": "UTC",
    }
    command = ["cargo", "build", "--quiet", "--release", "--locked", "--target", triple, "-p", "ptd", "--bin", NAME]
    subprocess.run(command, cwd=root, env=env, check=True)
    return target / triple / "release" / NAME


def archive(binary: Path, platform: str, out: Path, time: int, level: int = 9) -> Path:
    """The layout the engine expects: the binary at the top, executable."""
    entries = [(NAME, binary.read_bytes(), 0o755)]
    entries += [(name, (ROOT / name).read_bytes(), 0o644) for name in ("LICENSE", "README.md")]
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content, mode in sorted(entries):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, time
            tar.addfile(entry, io.BytesIO(content))
    path = out / f"{NAME}-v{version()}-{platform}.tar.gz"
    with path.open("wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=level, mtime=time) as packed:
        packed.write(plain.getvalue())
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pack(binary: Path, platform: str, out: Path, level: int) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    time = epoch()
    made = archive(binary, platform, out, time, level)
    stem = made.name.removesuffix(".tar.gz")
    listed = sbom.write(
        ROOT, out / f"{stem}.spdx.json", binary_digest=digest(binary), archive=stem, version=version(), triple=PLATFORMS[platform], epoch=time
    )
    print(f"{made.relative_to(out.parent)}: {made.stat().st_size / 1e6:.1f} MB, {listed} crates")
    return made


def write_checksums(out: Path) -> None:
    """Of everything of this version, as `sha256sum --check` reads it."""
    files = sorted(path for path in out.glob(f"{NAME}-v{version()}-*") if not path.name.endswith("checksums.txt"))
    text = "".join(f"{digest(path)}  {path.name}\n" for path in files)
    (out / f"{NAME}-v{version()}-checksums.txt").write_text(text)


def absent(out: Path) -> list[str]:
    """The platforms whose archive is not there."""
    return [platform for platform in PLATFORMS if not (out / f"{NAME}-v{version()}-{platform}.tar.gz").exists()]


def check(platform: str) -> None:
    """What is committed, built here and in a fresh clone at another path."""
    if output("git", "status", "--porcelain"):
        sys.exit("commit first: what is compared is what is committed")
    with tempfile.TemporaryDirectory(prefix="another-place-") as name:
        tree = Path(name) / "ptd"
        output("git", "clone", "--quiet", "--no-hardlinks", ROOT, tree)
        found = []
        for root in (ROOT, tree):
            binary = build(platform, root)
            packed = archive(binary, platform, Path(name), epoch())
            found.append((digest(binary), digest(packed)))
            print(f"binary {found[-1][0]}  archive {found[-1][1]}  {packed.stat().st_size / 1e6:.1f} MB", flush=True)
    if found[0] != found[1]:
        sys.exit("two builds of one commit differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    parser.add_argument("--platform", action="append", choices=PLATFORMS, help="may be given several times; default: this machine's")
    parser.add_argument("--binary", type=Path, help="pack this one instead of building")
    parser.add_argument("--level", type=int, choices=range(1, 10), default=9, help="of compression")
    parser.add_argument("--checksums", action="store_true", help="only list the archives that are there")
    parser.add_argument("--check", action="store_true", help="whether two builds give the same bytes")
    args = parser.parse_args()
    platforms = args.platform or [host()]
    if unknown := [platform for platform in platforms if platform not in PLATFORMS]:
        parser.error(f"this machine is a {unknown[0]}; name a --platform")
    if args.binary and len(platforms) > 1:
        parser.error("--binary is for one platform")
    if args.checksums:
        if missing := absent(args.out):
            sys.exit(f"no archive in {args.out} for {', '.join(missing)}")
        write_checksums(args.out)
        return
    if args.check:
        check(platforms[0])
        return
    for platform in platforms:
        made = pack(args.binary or build(platform), platform, args.out, args.level)
        if not args.binary and made.stat().st_size > LARGEST:
            sys.exit(f"{made.name} is {made.stat().st_size} bytes, more than {LARGEST}")
    write_checksums(args.out)


if __name__ == "__main__":
    main()
