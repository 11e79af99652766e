#!/bin/sh
# Makes sure of `ip` and `nft`, with which tests make networks of their own: as root on Debian they are installed where
# they are missing. Anywhere else nothing happens, and those tests say that they are skipped, and why.
have() { command -v ip && command -v nft && command -v nsenter; }
if have >/dev/null || [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then exit 0; fi
export DEBIAN_FRONTEND=noninteractive
install() { apt-get install -y --no-install-recommends iproute2 nftables util-linux; }
# The lists of a fresh machine are empty, or old.
{ install || { apt-get update && install; }; } >/dev/null 2>&1 || echo "iproute2 and nftables could not be installed"
