// The kernel's KVM interface, with structures of the same size in C++ as in C. Include this instead of
// <linux/kvm.h>.
//
// Structures that end in a flexible array are declared through a macro with an empty struct in it, which has
// no size in C and one byte in C++; a structure's size is part of its ioctl number, so KVM would not know the
// call.
#pragma once
#pragma GCC system_header

#include <linux/stddef.h>

#undef __DECLARE_FLEX_ARRAY
#define __DECLARE_FLEX_ARRAY(TYPE, NAME) TYPE NAME[0]

#include <linux/kvm.h>

static_assert(sizeof(kvm_msrs) == 8 && sizeof(kvm_msr_list) == 4 && sizeof(kvm_cpuid2) == 8);
static_assert(sizeof(kvm_irq_routing) == 8 && sizeof(kvm_xsave) == 4096 && sizeof(kvm_nested_state) == 128);
