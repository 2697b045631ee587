#include "gdb/register_table.h"

#include <vector>

#include "base/format.h"

namespace nandu {
namespace {

constexpr std::string_view kCore = "org.gnu.gdb.i386.core";
constexpr std::string_view kSse = "org.gnu.gdb.i386.sse";
constexpr std::string_view kSegments = "org.gnu.gdb.i386.segments";
constexpr std::string_view kControl = "org.nandu.x86.control";

std::vector<GdbRegister> MakeTable() {
  std::vector<GdbRegister> table;
  const auto add = [&table](std::string name, size_t offset, unsigned bytes, std::string_view type,
                            std::string_view feature) {
    table.push_back({std::move(name), offset, bytes, type, feature});
  };
  size_t at = offsetof(CpuRegisters, gpr);
  for (const char* name : {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8", "r9", "r10", "r11",
                           "r12", "r13", "r14", "r15"}) {
    const std::string_view text = name;
    add(name, at, 8, text == "rbp" || text == "rsp" ? "data_ptr" : "int64", kCore);
    at += 8;
  }
  add("rip", offsetof(CpuRegisters, rip), 8, "code_ptr", kCore);
  add("eflags", offsetof(CpuRegisters, eflags), 4, "int32", kCore);
  at = offsetof(CpuRegisters, segments);
  for (const char* name : {"cs", "ss", "ds", "es", "fs", "gs"}) {
    add(name, at, 4, "int32", kCore);
    at += 4;
  }
  for (unsigned i = 0; i < 8; ++i) {
    add(Format("st{}", i), offsetof(CpuRegisters, st) + 10 * i, 10, "i387_ext", kCore);
  }
  at = offsetof(CpuRegisters, x87);
  for (const char* name : {"fctrl", "fstat", "ftag", "fiseg", "fioff", "foseg", "fooff", "fop"}) {
    add(name, at, 4, "int", kCore);
    at += 4;
  }
  for (unsigned i = 0; i < 16; ++i) {
    add(Format("xmm{}", i), offsetof(CpuRegisters, xmm) + 16 * i, 16, "vec128", kSse);
  }
  add("mxcsr", offsetof(CpuRegisters, mxcsr), 4, "int", kSse);
  add("fs_base", offsetof(CpuRegisters, fs_base), 8, "int64", kSegments);
  add("gs_base", offsetof(CpuRegisters, gs_base), 8, "int64", kSegments);
  add("cr0", offsetof(CpuRegisters, cr0), 8, "int64", kControl);
  add("cr2", offsetof(CpuRegisters, cr2), 8, "int64", kControl);
  add("cr3", offsetof(CpuRegisters, cr3), 8, "int64", kControl);
  add("cr4", offsetof(CpuRegisters, cr4), 8, "int64", kControl);
  add("cr8", offsetof(CpuRegisters, cr8), 8, "int64", kControl);
  add("efer", offsetof(CpuRegisters, efer), 8, "int64", kControl);
  return table;
}

// The vector type that SSE registers have, from its parts.
constexpr std::string_view kVectorTypes =
    R"(<vector id="v4f" type="ieee_single" count="4"/><vector id="v2d" type="ieee_double" count="2"/>)"
    R"(<vector id="v16i8" type="int8" count="16"/><vector id="v8i16" type="int16" count="8"/>)"
    R"(<vector id="v4i32" type="int32" count="4"/><vector id="v2i64" type="int64" count="2"/>)"
    R"(<union id="vec128"><field name="v4_float" type="v4f"/><field name="v2_double" type="v2d"/>)"
    R"(<field name="v16_int8" type="v16i8"/><field name="v8_int16" type="v8i16"/>)"
    R"(<field name="v4_int32" type="v4i32"/><field name="v2_int64" type="v2i64"/>)"
    R"(<field name="uint128" type="uint128"/></union>)";

}  // namespace

std::span<const GdbRegister> GdbRegisters() {
  static const std::vector<GdbRegister> kTable = MakeTable();
  return kTable;
}

std::string GdbTargetXml() {
  std::string xml = R"(<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target>)"
                    R"(<architecture>i386:x86-64</architecture>)";
  std::string_view feature;
  for (const GdbRegister& reg : GdbRegisters()) {
    if (reg.feature != feature) {
      xml += feature.empty() ? "" : "</feature>";
      feature = reg.feature;
      xml += Format(R"(<feature name="{}">)", feature);
      xml += feature == kSse ? kVectorTypes : "";
    }
    xml += Format(R"(<reg name="{}" bitsize="{}" type="{}"/>)", reg.name, 8 * reg.bytes, reg.type);
  }
  return xml + "</feature></target>";
}

std::span<std::byte> BytesOf(CpuRegisters& registers, const GdbRegister& which) {
  return std::as_writable_bytes(std::span(&registers, 1)).subspan(which.offset, which.bytes);
}

}  // namespace nandu
