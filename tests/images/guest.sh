# shellcheck shell=bash
# guest.sh: shell functions for tests that boot the guests of make-guest. Source it; bash.
#
#   guest_path FILE              path of a file of make-guest, e.g. vmlinux-cloud
#   guest_root_copy DEST [SIZE]  a writable copy of the Debian root, grown to SIZE (as resize2fs takes it) if given
#   guest_task_disk DEST SOURCE  the disk for serial "task": from a script, or from a directory that has ./task
#   guest_task_output LOG        what the task printed, from a console log
#   guest_task_status LOG        its exit status; nothing, and 1, where the task did not end
#   guest_has_login LOG          whether a login prompt appeared

_guest_here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

guest_path() { "$_guest_here/make-guest" path "$@"; }

guest_root_copy() {
  local from
  from=$(guest_path root) || return
  case $(stat -f -c %T "$from") in
    # Inside a lab the cache is on 9p, which cannot tell where the holes are; direct reads are more than twice as fast there.
    overlayfs|v9fs) dd if="$from" of="$1" bs=4M iflag=direct conv=sparse status=none ;;
    *) cp --sparse=always --reflink=auto "$from" "$1" ;;
  esac || return
  chmod 644 "$1"
  [ -z "${2:-}" ] || PATH=$PATH:/sbin:/usr/sbin resize2fs "$1" "$2" > /dev/null 2>&1
}

guest_task_disk() {
  if [ -d "$2" ]; then tar -C "$2" -cf "$1" .; else cp "$2" "$1"; fi || return
  # Room for the partition tables the kernel looks for.
  truncate -s %64K "$1"
}

guest_task_output() { tr -d '\r' < "$1" | sed -n '/NANDU-TASK-BEGIN/,/^NANDU-TASK-EXIT/p' | sed '1d;$d'; }
guest_task_status() { tr -d '\r' < "$1" | sed -n 's/^NANDU-TASK-EXIT \([0-9]*\)$/\1/p' | grep -m 1 .; }
guest_has_login() { grep -a -q ' login: ' "$1"; }
