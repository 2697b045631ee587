// AML, the bytecode of ACPI tables, as functions that return bytes: aml::Device("RTC", {aml::Name("_HID",
// aml::EisaId("PNP0B00"))}). Specification: ACPI 6.5, section 20 (encoding) and 6.4 (resource descriptors).
// Pure functions, any thread; names and sizes are ours, so a wrong one is our own bug and checked.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace nandu::aml {

// A piece of AML: a term, a list of terms, or a resource descriptor.
class Code {
 public:
  Code() = default;
  Code(std::initializer_list<Code> pieces);  // one after the other
  static Code FromBytes(std::vector<uint8_t> bytes);

  Code& operator+=(const Code& more);
  const std::vector<uint8_t>& bytes() const { return bytes_; }
  bool empty() const { return bytes_.empty(); }

 private:
  std::vector<uint8_t> bytes_;
};

// ---- data ----
Code Integer(uint64_t value);
Code String(std::string_view text);
Code EisaId(std::string_view id);  // "PNP0A08", as the compressed integer
Code Buffer(const std::vector<uint8_t>& bytes);
Code Package(const std::vector<Code>& elements);  // 255 at most
Code PackageOf(uint8_t elements);                 // none of them set
Code Dword(uint32_t value);                       // always four bytes long, so that it can be found again
Code Uuid(std::string_view text);                 // ToUUID("33db4d5b-...")

// ---- names and operands ----
Code Path(std::string_view path);  // "\\_SB.PCI0.PRQA", "^FOO"; segments shorter than four are padded
Code Arg(unsigned index);          // 0..6
Code Local(unsigned index);        // 0..7

// ---- named objects ----
Code Name(std::string_view path, const Code& value);
Code Scope(std::string_view path, const Code& body);
Code Device(std::string_view path, const Code& body);
Code Processor(std::string_view path, uint8_t id, const Code& body);
enum class Serialized : uint8_t { kNo, kYes };
Code Method(std::string_view path, unsigned arguments, Serialized serialized, const Code& body);
enum class RegionSpace : uint8_t { kSystemMemory = 0, kSystemIo = 1, kPciConfig = 2 };
Code OperationRegion(std::string_view path, RegionSpace space, uint64_t offset, uint64_t bytes);
enum class FieldAccess : uint8_t { kByte = 1, kWord = 2, kDword = 3 };
struct FieldElement {
  std::string_view name;  // empty: a gap
  uint32_t bits;
};
Code Field(std::string_view region, FieldAccess access, bool locked,
           std::initializer_list<FieldElement> elements);
Code CreateDwordField(const Code& buffer, const Code& byte_index, std::string_view name);

// ---- statements and expressions ----
Code Return(const Code& value);
Code If(const Code& condition, const Code& body);
Code Else(const Code& body);
Code Store(const Code& value, const Code& to);
Code And(const Code& a, const Code& b, const Code& to = {});  // no target: an expression
Code Or(const Code& a, const Code& b, const Code& to = {});
Code Add(const Code& a, const Code& b, const Code& to = {});
Code Index(const Code& of, const Code& at);
Code Notify(std::string_view device, uint8_t value);
Code ShiftRight(const Code& a, const Code& count, const Code& to = {});
Code Equal(const Code& a, const Code& b);
Code Less(const Code& a, const Code& b);
Code LogicalOr(const Code& a, const Code& b);
Code Not(const Code& a);  // logical
Code Call(std::string_view path, std::initializer_list<Code> arguments);

// ---- resource descriptors (6.4) ----
Code ResourceTemplate(const Code& descriptors);
Code IoPorts(uint16_t base, uint8_t alignment, uint8_t length);
Code IrqNoFlags(unsigned irq);                         // 0..15
Code Interrupt(std::initializer_list<uint32_t> gsis);  // consumer, level, active high, shared
Code FixedMemory32(uint32_t base, uint32_t length, bool writable);
Code BusNumbers(uint16_t first, uint16_t last);
Code IoWindow(uint16_t first, uint16_t last);
Code MemoryWindow32(uint32_t first, uint32_t last, bool cacheable);
Code MemoryWindow64(uint64_t first, uint64_t last, bool cacheable);

}  // namespace nandu::aml
