"""Stock Debian restarts: ten times in a row, by every way a q35 has, and with what -no-reboot and -no-shutdown change."""

from guest import Guest, root_is_clean
from nandu import run_cases


def debian_reboots_and_powers_off(nandu):
    # The root remembers that it was started.
    script = "mount -o remount,rw /\nif [ ! -e /started ]; then echo first; touch /started; systemctl reboot; sleep 60; fi\necho second; rm /started\n"
    # With controllers of nandu's own, which a reset puts back with the other devices; the cases below have the kernel's.
    with Guest(nandu, "-machine", "kernel-irqchip=split", root=True, smp="2", task=script) as guest:
        guest.ends_cleanly()
        assert [line for line in guest.console().splitlines() if line in ("first", "second")] == ["first", "second"]
        resets = [event for event in guest.qmp.events if event["event"] == "RESET"]
        assert [event["data"] for event in resets] == [{"guest": True, "reason": "guest-reset"}], resets
    assert root_is_clean()


def ten_reboots_in_a_row_by_every_way_to_reset(nandu):
    counter = nandu.file("counter")
    with open(counter, "wb") as file:
        file.write(b"0\n")
        file.truncate(65536)
    # A q35 offers four ways to reset: the port 0xcf9, as such and as ACPI's reset register, the keyboard controller, a triple fault.
    script = """
for disk in /sys/block/vd*; do [ "$(cat $disk/serial)" != counter ] || disk_path=/dev/${disk##*/}; done
read n < $disk_path
echo "start $n"
if [ $n = 10 ]; then exit; fi
echo $((n + 1)) | dd of=$disk_path conv=notrunc,fsync bs=512 2> /dev/null || exit 1
case $((n % 4)) in 0) way=acpi ;; 1) way=kbd ;; 2) way=triple ;; 3) way=pci ;; esac
echo $way > /sys/kernel/reboot/type
read now < /sys/kernel/reboot/type
echo "reboot by $now"
reboot -f
sleep 60
"""
    with Guest(nandu, "-drive", f"file={counter},format=raw,if=none,id=counter", "-device", "virtio-blk-pci,drive=counter,serial=counter",
               smp="2", memory="256M", task=script) as guest:
        guest.ends_cleanly()
        lines = guest.console().splitlines()
        assert [line for line in lines if line.startswith("start ")] == [f"start {n}" for n in range(11)], lines
        ways = [line.split()[-1] for line in lines if line.startswith("reboot by ")]
        assert ways == (["acpi", "kbd", "triple", "pci"] * 3)[:10], ways
        resets = [event for event in guest.qmp.events if event["event"] == "RESET"]
        assert [event["data"] for event in resets] == [{"guest": True, "reason": "guest-reset"}] * 10, resets


def no_reboot_ends_where_a_guest_would_start_again(nandu):
    with Guest(nandu, "-no-reboot", memory="256M", task="reboot -f\nsleep 60\n") as guest:
        event = guest.qmp.wait_event("SHUTDOWN")
        assert event["data"] == {"guest": True, "reason": "guest-reset"}, event
        assert guest.wait() == 0


def no_shutdown_keeps_a_machine_that_is_off(nandu):
    with Guest(nandu, "-no-shutdown", memory="256M", task="echo again\n") as guest:
        for times in (1, 2):
            event = guest.qmp.wait_event("SHUTDOWN")
            assert event["data"] == {"guest": True, "reason": "guest-shutdown"}, event
            guest.qmp.wait_event("STOP")
            assert guest.qmp.command("query-status")["return"]["status"] == "shutdown"
            assert guest.console().count("NANDU-TASK-EXIT 0") == times
            assert guest.qmp.command("cont")["error"]["class"] == "GenericError"
            if times == 1:
                assert guest.qmp.command("system_reset") == {"return": {}}
                guest.qmp.wait_event("RESET")
                assert guest.qmp.command("cont") == {"return": {}}
        assert guest.qmp.command("quit") == {"return": {}}
        assert guest.wait() == 0


if __name__ == "__main__":
    run_cases([debian_reboots_and_powers_off, ten_reboots_in_a_row_by_every_way_to_reset, no_reboot_ends_where_a_guest_would_start_again,
               no_shutdown_keeps_a_machine_that_is_off])
