// Preloaded into the emulating QEMU by tests/lab/lab: two cures for how QEMU 7.2's TCG raises interrupts, in a function that shadows its own.
//
// 1. Emulating SVM, it raises a virtual interrupt from a guest's write to CR8 without holding its big lock, while the function it calls asserts
//    that the lock is held: a UEFI guest inside the nested machine ends the whole machine that way. Here the lock is taken where the caller did not.
//
// 2. What is pending for a CPU is a word of bits that other threads set under the big lock, and that VMRUN of a guest with a virtual interrupt
//    (KVM asks for interrupt windows that way) changes in the CPU's own thread without it: two plain read-modify-writes. When they meet, the
//    other thread's bit is gone. That bit is the local APIC's timer as a rule; Linux sets the next one only when this one came, so a nested
//    machine that has nothing else to do stands still for ever, with a guest that runs or without: once in some ten minutes of guests. The APIC
//    still knows what it has pending, so here each CPU is told twice a second to look again.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

extern bool qemu_mutex_iothread_locked(void);
extern void qemu_mutex_lock_iothread_impl(const char *file, int line);
extern void qemu_mutex_unlock_iothread(void);

typedef void Handler(void *cpu, int mask);

enum {
    kPoll = 0x10,  // CPU_INTERRUPT_POLL of an x86 CPU: ask the local APIC what is pending
    kMaxCpus = 64,
    kPeriodUs = 500000,
};

// Under the big lock.
static void *cpus[kMaxCpus];
static int cpu_count;

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

static void *PollForEver(void *unused)
{
    for (;;) {
        usleep(kPeriodUs);
        qemu_mutex_lock_iothread_impl(__FILE__, __LINE__);
        for (int i = 0; i < cpu_count; i++) Original()(cpus[i], kPoll);
        qemu_mutex_unlock_iothread();
    }
    return unused;
}

static void Remember(void *cpu)
{
    for (int i = 0; i < cpu_count; i++) {
        if (cpus[i] == cpu) return;
    }
    if (cpu_count == kMaxCpus) return;
    cpus[cpu_count++] = cpu;
    if (cpu_count > 1) return;
    sigset_t all, before;  // QEMU's signals are for its own threads
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pthread_t thread;
    if (pthread_create(&thread, NULL, PollForEver, NULL) != 0) abort();
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void tcg_handle_interrupt(void *cpu, int mask)
{
    const bool taken = !qemu_mutex_iothread_locked();
    if (taken) qemu_mutex_lock_iothread_impl(__FILE__, __LINE__);
    Remember(cpu);
    Original()(cpu, mask);
    if (taken) qemu_mutex_unlock_iothread();
}
