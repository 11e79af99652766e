#!/bin/sh
# A Postgres server of one's own, for trying a shared store and for its tests.
#
#   postgres.sh DIR     makes a server in DIR (new, with a short path), prints its URL, and ends it when its standard
#                       input is closed: no process is left, whatever becomes of who started it.
#
# The server listens on a socket in DIR and on no port. It is found on the PATH, where Debian puts it, or in PG_BIN; as
# root on Debian it is installed where it is missing. As root it runs as the user `postgres`, since it refuses root.
set -eu

dir=${1:?usage: postgres.sh DIR}
say() { echo "postgres.sh: $*" >&2; }

find_bin() {
    for bin in ${PG_BIN:-} /usr/lib/postgresql/*/bin /usr/local/pgsql/bin /opt/homebrew/opt/postgresql*/bin; do
        if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then echo "$bin"; return; fi
    done
    initdb=$(command -v initdb) && command -v postgres >/dev/null && dirname "$initdb"
}

if ! bin=$(find_bin); then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        # Debian's package would start a server of its own; no policy file of ours is needed for it to be asked not to.
        install() { apt-get install -y --no-install-recommends -o Dpkg::Use-Pty=0 postgresql; }
        mkdir -p /etc/postgresql-common
        [ -e /etc/postgresql-common/createcluster.conf ] ||
            echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
        { install || { apt-get update && install; }; } >/dev/null 2>&1 || true
    fi
    bin=$(find_bin) || { say "no Postgres server here; install one (Debian: apt install postgresql) or set PG_BIN"; exit 3; }
fi

mkdir -p "$dir"
dir=$(CDPATH='' cd -- "$dir" && pwd)
# A socket's path has 107 bytes at most, and its name is not ours to choose.
[ "${#dir}" -le 80 ] || { say "the path of $dir is too long for a socket"; exit 3; }
as=
if [ "$(id -u)" = 0 ]; then
    id postgres >/dev/null 2>&1 || { say "as root it needs a user called postgres to run as"; exit 3; }
    chown postgres "$dir"
    as='setpriv --reuid=postgres --regid=postgres --init-groups --'
fi

cd "$dir"
$as "$bin/initdb" --pgdata="$dir/data" --username=mesh --auth=trust --encoding=UTF8 --locale=C --no-sync >"$dir/log" 2>&1 ||
    { cat "$dir/log" >&2; say "initdb failed"; exit 3; }
$as "$bin/postgres" -D "$dir/data" -k "$dir" -c listen_addresses= -c max_connections=200 </dev/null >>"$dir/log" 2>&1 &
server=$!
# SIGQUIT: at once; nobody reads what it held.
trap 'kill -QUIT $server 2>/dev/null; wait $server 2>/dev/null || true' EXIT
tries=0
until "$bin/pg_isready" -q -h "$dir" -U mesh; do
    tries=$((tries + 1))
    if [ "$tries" -gt 300 ] || ! kill -0 "$server" 2>/dev/null; then
        cat "$dir/log" >&2
        say "the server did not start"
        exit 3
    fi
    sleep 0.1
done
echo "postgres://mesh@localhost/postgres?host=$dir"
cat >/dev/null || true
