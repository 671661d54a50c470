#!/bin/sh
# Sets the database up at the first start, as the official image does, then becomes the server.
set -eu
: "${POSTGRES_USER:=postgres}"
: "${POSTGRES_DB:=$POSTGRES_USER}"

# Made beside PGDATA and renamed, so a start that was killed is made anew by the next. Where PGDATA is the volume
# itself, it is made in place.
set_up() {
    : "${POSTGRES_PASSWORD:?has to be set for a new database}"
    new=$PGDATA.new
    if [ -d "$PGDATA" ] && ! rmdir "$PGDATA" 2> /dev/null; then
        new=$PGDATA
    else
        rm -rf "$new"
    fi
    printf '%s\n' "$POSTGRES_PASSWORD" | initdb --pgdata "$new" --username "$POSTGRES_USER" --pwfile=/dev/stdin \
        --auth-host=scram-sha-256 --auth-local=trust --encoding=UTF8 > /dev/null
    echo 'host all all all scram-sha-256' >> "$new/pg_hba.conf"
    if [ "$POSTGRES_DB" != postgres ]; then
        # In single-user mode: no socket, no port, nobody else.
        printf 'CREATE DATABASE "%s"\n' "$POSTGRES_DB" | postgres --single -D "$new" postgres > /dev/null
    fi
    [ "$new" = "$PGDATA" ] || mv "$new" "$PGDATA"
}

if [ "${1:-}" = postgres ]; then
    export PGDATA
    [ -s "$PGDATA/PG_VERSION" ] || set_up
    shift
    set -- postgres -c listen_addresses='*' "$@"
fi
exec "$@"
