#!/usr/bin/env bash
# Makes a base image with Debian's Python, for a machine that reaches a Debian mirror but no container
# registry. Its virtual environments behave like those of the official Python images, which is all that the
# Dockerfile asks for. Meant for tests on this machine: it also trusts the certificate authorities that were
# added here, so that packages can be fetched through the same proxy.
#
# usage: docker/local-base-image.sh TAG           needs root, debootstrap and a running Docker engine
set -euo pipefail

tag=${1:?usage: local-base-image.sh TAG}
suite=bookworm
authorities=usr/local/share/ca-certificates

mirror=$(apt-get indextargets --format '$(REPO_URI)' "Codename: $suite" 'Created-By: Packages' | sed -n 1p)
[ -n "$mirror" ] || { echo "$0: apt knows no mirror of $suite: run apt-get update first" >&2; exit 1; }

root=$(mktemp -d)
trap 'rm -rf --one-file-system "$root"' EXIT
debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv \
    "$suite" "$root" "$mirror"

ln -s /usr/bin/python3 "$root/usr/local/bin/python"
if compgen -G "/$authorities/*.crt" >/dev/null; then
    cp /$authorities/*.crt "$root/$authorities/"
    chroot "$root" update-ca-certificates
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$root/etc/pip.conf"
fi
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/usr/share/{doc,locale,man}/*

tar --create --directory "$root" --numeric-owner --one-file-system . | docker import \
    --change 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8' \
    --change 'CMD ["python3"]' \
    --change 'LABEL org.opencontainers.image.title="Debian Python for local builds, not an official image"' \
    - "$tag"
