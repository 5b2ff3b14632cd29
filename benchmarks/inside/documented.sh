#!/bin/sh
# The documented procedure of a backup, and what FreeIPA's own ipa-restore does, step by step.
#
#   documented.sh full|data-offline|data-online|restore-full|restore-data|restore-data-online INSTANCE FOLDER BACKEND...
#
# Backups go to FOLDER/full.tar.gz, data.tar.gz and data-online.tar.gz.  For full ones FOLDER/paths names the files and
# folders to take, FOLDER/only those to take without what is in them, FOLDER/without the ones to leave out.
set -eu

case=$1 instance=$2 folder=$3
shift 3
unit=dirsrv@$instance.service
home=/var/lib/dirsrv/slapd-$instance
uri=ldapi://%2Frun%2Fslapd-$instance.socket
staging=$folder/data

export_offline() {
    for backend in "$@"; do
        dsctl "$instance" db2ldif --replication "$backend" "$home/ldif/$backend.ldif"
    done
    dsctl "$instance" db2bak "$home/bak/benchmark"
}

# A task of the running server, over LDAPI as root, until it has ended.
task() {
    name=$1 kind=$2 classes=$3
    dn="cn=$name,cn=$kind,cn=tasks,cn=config"
    { printf 'dn: %s\nobjectClass: top\nobjectClass: extensibleObject\ncn: %s\n' "$dn" "$name"; printf '%b' "$classes"; } |
        ldapadd -Q -Y EXTERNAL -H "$uri" >&2
    status=
    until [ -n "$status" ]; do
        systemctl is-active --quiet "$unit" || { echo "$unit has died during the task $name" >&2; exit 1; }
        status=$(ldapsearch -Q -Y EXTERNAL -H "$uri" -LLL -b "$dn" -s base nsTaskExitCode | sed -n 's/^nsTaskExitCode: //p')
        [ -n "$status" ] || sleep 0.1
    done
    [ "$status" = 0 ] || { echo "task $dn ended with $status" >&2; exit 1; }
}

export_online() {
    for backend in "$@"; do
        task "benchmark-$$-$backend" export \
            "nsInstance: $backend\nnsFilename: $home/ldif/$backend.ldif\nnsExportReplica: TRUE\n"
    done
    task "benchmark-$$" backup "nsArchiveDir: $home/bak/benchmark\nnsDatabaseType: ldbm database\n"
}

stage() {
    mkdir "$staging"
    for backend in "$@"; do
        mv "$home/ldif/$backend.ldif" "$staging/"
    done
    mv "$home/bak/benchmark" "$staging/bak"
}

# Status 1 of tar is a file that changed while it was read.
pack() {
    tar --xattrs --selinux "$@" || [ $? = 1 ]
}

unpack_data() {
    mkdir "$staging"
    tar -xzf "$1" -C "$staging" --strip-components=1 data
}

# What FreeIPA's tool leaves out, so that the import begins a new generation.
without_ruv() {
    awk 'BEGIN { RS = ""; ORS = "\n\n" } !/(^|\n)dn: nsuniqueid=ffffffff-ffffffff-ffffffff-ffffffff/' \
        "$staging/$1.ldif" > "$home/ldif/$1.ldif"
    chown dirsrv:dirsrv "$home/ldif/$1.ldif"
}

import_offline() {
    for backend in "$@"; do
        without_ruv "$backend"
        dsctl "$instance" ldif2db "$backend" "$home/ldif/$backend.ldif"
        rm "$home/ldif/$backend.ldif"
    done
}

import_online() {
    for backend in "$@"; do
        without_ruv "$backend"
        task "benchmark-$$-$backend" import "nsInstance: $backend\nnsFilename: $home/ldif/$backend.ldif\n"
        rm "$home/ldif/$backend.ldif"
    done
}

case $case in
full)
    ipactl stop
    export_offline "$@"
    stage "$@"
    pack -czf "$folder/full.tar.gz" --anchored --exclude-from "$folder/without" -C "$folder" data \
        -C / -T "$folder/paths" --no-recursion -T "$folder/only"
    ipactl start
    ;;
data-offline)
    systemctl stop "$unit"
    export_offline "$@"
    stage "$@"
    pack -czf "$folder/data.tar.gz" -C "$folder" data
    systemctl start "$unit"
    ;;
data-online)
    export_online "$@"
    stage "$@"
    pack -czf "$folder/data-online.tar.gz" -C "$folder" data
    ;;
restore-full)
    unpack_data "$folder/full.tar.gz"
    ipactl stop
    tar --xattrs --selinux -xzf "$folder/full.tar.gz" --anchored --exclude data -C /
    import_offline "$@"
    ipactl start
    systemctl restart sssd
    ;;
restore-data)
    unpack_data "$folder/data.tar.gz"
    systemctl stop "$unit"
    import_offline "$@"
    systemctl start "$unit"
    ;;
restore-data-online)
    unpack_data "$folder/data.tar.gz"
    import_online "$@"
    ;;
*)
    echo "no such case: $case" >&2
    exit 2
    ;;
esac
rm -r "$staging"
