//! `lh-vtl serve` at the kernel's door: other people's programs, death at any
//! moment, and what is left behind.

use anyhow::{Result, ensure};
use longhaul_hwtests::rig::trial::plain;
use longhaul_hwtests::rig::{Host, Kernel, trial};

/// Loads the drivers, makes a library, and defines what the scripts use.
const PREPARE: &str = "
    modprobe -a target_core_user sg st ch
    mount -t configfs configfs /sys/kernel/config
    lh-vtl create /tmp/library --slots 4 --cartridges 2 --capacity 64MiB
    cat >/tmp/functions <<'END'
target=/sys/kernel/config/target
# Serves; its process is $server.
serve() {
    lh-vtl serve /tmp/library \"$@\" >/tmp/said 2>&1 &
    server=$!
    for _ in $(seq 300); do
        ! grep -qx ready /tmp/said || return 0
        kill -0 $server || break
        sleep 0.1
    done
    cat /tmp/said
    return 1
}
# Ends it in order: nothing of it is left.
stop() {
    kill $server
    wait $server
    [ -z \"$(find $target -name 'longhaul-*' -o -name 'naa.*')\" ]
    [ ! -e /dev/sg0 ]
}
END";

fn programs_of_others(name: &'static str, kernel: Kernel) -> Result<()> {
    trial(name, &plain(kernel), 1, |trial| {
        let mut host = Host::boot(trial, kernel, 1)?;
        host.run(PREPARE)?;
        host.run(
            ". /tmp/functions
            serve
            mtx -f /dev/sg0 load 2 0
            mtx -f /dev/sg0 status | grep 'Element 0:Full (Storage Element 2 Loaded).*LH0002L9'
            mt -f /dev/nst0 status | grep BOT
            mkdir /tmp/in /tmp/out
            cp /usr/bin/[a-d]* /tmp/in
            tar -b 1024 -cf /dev/nst0 -C /tmp/in .
            mt -f /dev/nst0 rewind
            tar -b 1024 -xf /dev/nst0 -C /tmp/out
            diff -r /tmp/in /tmp/out
            sg_logs --page=0x2e /dev/sg1
            tapeinfo -f /dev/sg1 | grep 'Ready: yes'
            lsscsi -g | grep 'tape.*LONGHAUL.*/dev/st1'
            sg_persist --out --register --param-sark=0x17 /dev/sg1
            sg_persist --out --reserve --param-rk=0x17 --prout-type=3 /dev/sg1
            sg_persist --in --read-full-status /dev/sg1 | grep \"iSCSI name: $(hostname)\"
            mt -f /dev/nst0 offline
            mtx -f /dev/sg0 unload 2 0
            stop",
        )?;
        host.power_off()
    })
}

fn death_at_any_moment(name: &'static str, kernel: Kernel) -> Result<()> {
    trial(name, &plain(kernel), 1, |trial| {
        let mut host = Host::boot(trial, kernel, 1)?;
        host.run(PREPARE)?;
        // While it begins.
        host.run(
            ". /tmp/functions
            for moment in 0.03 0.06 0.08 0.1 0.12 0.14 0.16 0.18 0.2 0.25 0.3 0.5; do
                lh-vtl serve /tmp/library 2>>/tmp/killed &
                sleep $moment
                kill -9 $! || { cat /tmp/killed; exit 1; }
            done
            serve
            mtx -f /dev/sg0 load 1 0
            stop",
        )?;
        // While the kernel scans in its name, which takes long where the changer
        // keeps real time: it cannot die before the next one has ended the scan.
        host.run(
            ". /tmp/functions
            mv /tmp/library /tmp/quick
            lh-vtl create /tmp/library --drives 1 --slots 2 --cartridges 1 --clock real
            lh-vtl serve /tmp/library &
            killed=$!
            while [ ! -e $target/loopback/naa.*/tpgt_1/lun/lun_0 ]; do sleep 0.01; done
            sleep 0.5
            kill -9 $killed
            sleep 0.5
            grep 'State:.D' /proc/$killed/status
            serve
            [ ! -e /proc/$killed ] || grep 'State:.Z' /proc/$killed/status
            stop
            rm -r /tmp/library
            mv /tmp/quick /tmp/library",
        )?;
        // While a program writes; what begins anew has another door.
        let said = host.run(
            ". /tmp/functions
            serve
            dd if=/dev/zero of=/dev/nst0 bs=64k count=1 status=none
            { dd if=/dev/zero of=/dev/nst0 bs=512k 2>&1 || echo writing failed; } >/tmp/written &
            writer=$!
            sleep 0.1
            kill -9 $server
            modprobe iscsi_target_mod
            mkdir -p $target/iscsi/iqn.2026-01.example:others/tpgt_1
            serve --iscsi iqn.2026-01.example:ours --portal 127.0.0.1 \
                --initiator iqn.2026-01.example:n1
            wait $writer
            ls -d $target/*/*/tpgt_1 /dev/sg* 2>&1 || true
            stop
            ls $target/iscsi
            cat /tmp/written",
        )?;
        ensure!(said.contains("writing failed"), "{said}");
        ensure!(!said.contains("/dev/sg0\n"), "old devices stay: {said}");
        let others = said.matches("iqn.2026-01.example:others").count();
        ensure!(others == 2, "somebody else's target went: {said}");
        host.power_off()
    })
}

#[test]
fn others_programs_work_a_served_library_on_6_1() -> Result<()> {
    let name = "others_programs_work_a_served_library_on_6_1";
    programs_of_others(name, Kernel::V6_1)
}

#[test]
fn others_programs_work_a_served_library_on_7() -> Result<()> {
    programs_of_others("others_programs_work_a_served_library_on_7", Kernel::V7)
}

#[test]
fn a_served_library_survives_kill_at_any_moment_on_6_1() -> Result<()> {
    let name = "a_served_library_survives_kill_at_any_moment_on_6_1";
    death_at_any_moment(name, Kernel::V6_1)
}

#[test]
fn a_served_library_survives_kill_at_any_moment_on_7() -> Result<()> {
    let name = "a_served_library_survives_kill_at_any_moment_on_7";
    death_at_any_moment(name, Kernel::V7)
}
