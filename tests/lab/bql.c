// Preloaded into the emulating QEMU by tests/lab/lab: two cures for how QEMU 7.2's TCG raises interrupts, in one function that shadows its own.
//
// 1. Emulating SVM, it raises a virtual interrupt from a guest's write to CR8 without holding its big lock, while the function it calls asserts
//    that the lock is held: a UEFI guest inside the nested machine ends the whole machine that way. Here the lock is taken where the caller did not.
//
// 2. What is pending for a CPU is a word of bits that other threads set under the big lock, and that VMRUN of a guest with a virtual interrupt
//    (KVM asks for interrupt windows that way) changes in the CPU's own thread without it: two plain read-modify-writes. When they meet, the
//    other thread's bit is gone. That bit is the local APIC's timer as a rule; Linux sets the next one only when this one came, so a nested
//    machine that has nothing else to do stands still for ever, with a guest that runs or without: once in some ten minutes of guests. Here
//    another thread's interrupt is handed to the CPU's thread, which alone changes the word.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

typedef union {
    int host_int;
    unsigned long host_ulong;
    void *host_ptr;
    uint64_t target_ptr;
} RunOnCpuData;

extern bool qemu_mutex_iothread_locked(void);
extern void qemu_mutex_lock_iothread_impl(const char *file, int line);
extern void qemu_mutex_unlock_iothread(void);
extern bool qemu_cpu_is_self(void *cpu);
extern void async_run_on_cpu(void *cpu, void (*work)(void *cpu, RunOnCpuData data), RunOnCpuData data);

typedef void Handler(void *cpu, int mask);

// The accelerator is a module opened with local visibility, so RTLD_NEXT does not see the original.
static Handler *Original(void)
{
    static Handler *found;
    static const char *const kModules[] = {
        "/usr/lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",
        "/usr/bin/../lib/x86_64-linux-gnu/qemu/accel-tcg-x86_64.so",  // how QEMU itself spells it; dlopen compares names
    };
    for (size_t i = 0; !found && i < sizeof kModules / sizeof *kModules; i++) {
        void *module = dlopen(kModules[i], RTLD_NOLOAD | RTLD_NOW);
        found = module ? (Handler *)dlsym(module, "tcg_handle_interrupt") : NULL;
    }
    if (!found) {
        fputs("bql.c: this QEMU has no tcg_handle_interrupt where it is expected\n", stderr);
        abort();
    }
    return found;
}

static void InOwnThread(void *cpu, RunOnCpuData data)
{
    Original()(cpu, data.host_int);
}

void tcg_handle_interrupt(void *cpu, int mask)
{
    if (!qemu_cpu_is_self(cpu)) {
        const RunOnCpuData data = {.host_int = mask};
        async_run_on_cpu(cpu, InOwnThread, data);  // wakes a CPU that is halted; runs under the big lock
        return;
    }
    const bool taken = !qemu_mutex_iothread_locked();
    if (taken) qemu_mutex_lock_iothread_impl(__FILE__, __LINE__);
    Original()(cpu, mask);
    if (taken) qemu_mutex_unlock_iothread();
}
