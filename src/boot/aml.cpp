#include "boot/aml.h"

#include <array>
#include <bit>
#include <string>

#include "base/check.h"
#include "base/checked.h"

namespace nandu::aml {
namespace {

// ACPI 6.5, 20.3 "AML Byte Stream Byte Values": the ones used here.
enum Op : uint8_t {
  kZeroOp = 0x00,
  kOneOp = 0x01,
  kNameOp = 0x08,
  kBytePrefix = 0x0a,
  kWordPrefix = 0x0b,
  kDwordPrefix = 0x0c,
  kStringPrefix = 0x0d,
  kQwordPrefix = 0x0e,
  kScopeOp = 0x10,
  kBufferOp = 0x11,
  kPackageOp = 0x12,
  kMethodOp = 0x14,
  kDualNamePrefix = 0x2e,
  kMultiNamePrefix = 0x2f,
  kExtPrefix = 0x5b,
  kLocal0Op = 0x60,
  kArg0Op = 0x68,
  kStoreOp = 0x70,
  kAddOp = 0x72,
  kShiftRightOp = 0x7a,
  kAndOp = 0x7b,
  kOrOp = 0x7d,
  kNotifyOp = 0x86,
  kIndexOp = 0x88,
  kCreateDwordFieldOp = 0x8a,
  kLorOp = 0x91,
  kLnotOp = 0x92,
  kLequalOp = 0x93,
  kLlessOp = 0x95,
  kIfOp = 0xa0,
  kElseOp = 0xa1,
  kReturnOp = 0xa4,
};
enum ExtOp : uint8_t { kOpRegionOp = 0x80, kFieldOp = 0x81, kDeviceOp = 0x82, kProcessorOp = 0x83 };

using Bytes = std::vector<uint8_t>;

void AppendLittleEndian(Bytes& to, uint64_t value, unsigned bytes) {
  for (unsigned i = 0; i < bytes; i++) {
    to.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
}

void Append(Bytes& to, const Code& more) { to.insert(to.end(), more.bytes().begin(), more.bytes().end()); }

// 20.2.4: the lead byte's upper two bits say how many bytes follow; then its lower four bits are the least
// significant nibble.
Bytes EncodeLength(uint64_t length) {
  if (length < 0x40) {
    return {static_cast<uint8_t>(length)};
  }
  Bytes encoded = {static_cast<uint8_t>(length & 0xf)};
  for (uint64_t rest = length >> 4; rest != 0; rest >>= 8) {
    encoded.push_back(static_cast<uint8_t>(rest));
  }
  NANDU_CHECK(encoded.size() <= 4, "an AML package has less than 256 MiB");
  encoded[0] = static_cast<uint8_t>(encoded[0] | (encoded.size() - 1) << 6);
  return encoded;
}

// A PkgLength counts itself.
Bytes PackageLength(uint64_t body_bytes) {
  for (uint64_t own = 1;; own++) {
    Bytes encoded = EncodeLength(body_bytes + own);
    if (encoded.size() == own) {
      return encoded;
    }
  }
}

Code Packaged(std::initializer_list<uint8_t> opcode, const Bytes& body) {
  Bytes bytes(opcode);
  const Bytes length = PackageLength(body.size());
  bytes.insert(bytes.end(), length.begin(), length.end());
  bytes.insert(bytes.end(), body.begin(), body.end());
  return Code::FromBytes(std::move(bytes));
}

void AppendSegment(Bytes& to, std::string_view segment) {
  NANDU_CHECK(!segment.empty() && segment.size() <= 4, "an ACPI name segment has one to four characters");
  for (size_t i = 0; i < 4; i++) {
    to.push_back(static_cast<uint8_t>(i < segment.size() ? segment[i] : '_'));
  }
}

Bytes EncodePath(std::string_view path) {
  Bytes bytes;
  while (!path.empty() && (path.front() == '\\' || path.front() == '^')) {
    bytes.push_back(static_cast<uint8_t>(path.front()));
    path.remove_prefix(1);
  }
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    const size_t dot = path.find('.');
    segments.push_back(path.substr(0, dot));
    path.remove_prefix(dot == std::string_view::npos ? path.size() : dot + 1);
  }
  if (segments.empty()) {
    bytes.push_back(kZeroOp);  // NullName: the root itself
  } else if (segments.size() == 2) {
    bytes.push_back(kDualNamePrefix);
  } else if (segments.size() > 2) {
    bytes.push_back(kMultiNamePrefix);
    bytes.push_back(Narrow<uint8_t>(segments.size()));
  }
  for (const std::string_view segment : segments) {
    AppendSegment(bytes, segment);
  }
  return bytes;
}

Code Simple(Op op, std::initializer_list<Code> operands) {
  Bytes bytes = {op};
  for (const Code& operand : operands) {
    Append(bytes, operand);
  }
  return Code::FromBytes(std::move(bytes));
}

Code WithTarget(Op op, const Code& a, const Code& b, const Code& to) {
  return Simple(op, {a, b, to.empty() ? Code::FromBytes({kZeroOp}) : to});
}

// 6.4.3.5: address space descriptors of 2, 4 or 8 bytes a field.
struct AddressSpaceDescriptor {
  uint8_t tag = 0;
  unsigned field_bytes = 0;
  uint8_t resource_type = 0;  // 0 memory, 1 I/O, 2 bus numbers
  uint8_t type_flags = 0;
  uint64_t first = 0;
  uint64_t last = 0;
};

Code EncodeAddressSpace(const AddressSpaceDescriptor& descriptor) {
  constexpr uint8_t kFixedBothEnds = 0x0c;  // producer, positive decode, minimum and maximum fixed
  NANDU_CHECK(descriptor.first <= descriptor.last, "an address window has a positive size");
  Bytes bytes = {descriptor.tag};
  AppendLittleEndian(bytes, 3 + 5 * descriptor.field_bytes, 2);
  bytes.push_back(descriptor.resource_type);
  bytes.push_back(kFixedBothEnds);
  bytes.push_back(descriptor.type_flags);
  AppendLittleEndian(bytes, 0, descriptor.field_bytes);  // granularity
  AppendLittleEndian(bytes, descriptor.first, descriptor.field_bytes);
  AppendLittleEndian(bytes, descriptor.last, descriptor.field_bytes);
  AppendLittleEndian(bytes, 0, descriptor.field_bytes);  // translation
  AppendLittleEndian(bytes, descriptor.last - descriptor.first + 1, descriptor.field_bytes);
  return Code::FromBytes(std::move(bytes));
}

constexpr uint8_t kWordAddressSpace = 0x88;
constexpr uint8_t kDwordAddressSpace = 0x87;
constexpr uint8_t kQwordAddressSpace = 0x8a;
constexpr uint8_t kReadWrite = 0x01;
constexpr uint8_t kCacheable = 0x02;

uint8_t HexDigit(char c) { return static_cast<uint8_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10); }

}  // namespace

Code::Code(std::initializer_list<Code> pieces) {
  for (const Code& piece : pieces) {
    *this += piece;
  }
}

Code Code::FromBytes(std::vector<uint8_t> bytes) {
  Code code;
  code.bytes_ = std::move(bytes);
  return code;
}

Code& Code::operator+=(const Code& more) {
  bytes_.insert(bytes_.end(), more.bytes_.begin(), more.bytes_.end());
  return *this;
}

Code Integer(uint64_t value) {
  if (value <= 1) {
    return Code::FromBytes({value == 0 ? kZeroOp : kOneOp});
  }
  const bool byte = value <= UINT8_MAX;
  const bool word = value <= UINT16_MAX;
  const bool dword = value <= UINT32_MAX;
  Bytes bytes = {byte ? kBytePrefix : word ? kWordPrefix : dword ? kDwordPrefix : kQwordPrefix};
  AppendLittleEndian(bytes, value, byte ? 1 : word ? 2 : dword ? 4 : 8);
  return Code::FromBytes(std::move(bytes));
}

Code String(std::string_view text) {
  Bytes bytes = {kStringPrefix};
  bytes.insert(bytes.end(), text.begin(), text.end());
  bytes.push_back(0);
  return Code::FromBytes(std::move(bytes));
}

Code EisaId(std::string_view id) {
  // 19.3.4 "EISAID": three letters of five bits, four hex digits, stored big-endian.
  NANDU_CHECK(id.size() == 7, "an EISA id has three letters and four digits");
  uint32_t value = 0;
  for (size_t i = 0; i < 3; i++) {
    value = value << 5 | static_cast<uint32_t>(id[i] - 0x40);
  }
  for (size_t i = 3; i < 7; i++) {
    value = value << 4 | HexDigit(id[i]);
  }
  Bytes bytes = {kDwordPrefix};
  AppendLittleEndian(bytes, __builtin_bswap32(value), 4);
  return Code::FromBytes(std::move(bytes));
}

Code Buffer(const std::vector<uint8_t>& bytes) {
  Bytes body = Integer(bytes.size()).bytes();
  body.insert(body.end(), bytes.begin(), bytes.end());
  return Packaged({kBufferOp}, body);
}

Code Package(const std::vector<Code>& elements) {
  Bytes body = {Narrow<uint8_t>(elements.size())};
  for (const Code& element : elements) {
    Append(body, element);
  }
  return Packaged({kPackageOp}, body);
}

Code PackageOf(uint8_t elements) { return Packaged({kPackageOp}, {elements}); }

Code Dword(uint32_t value) {
  Bytes bytes = {kDwordPrefix};
  for (unsigned shift = 0; shift < 32; shift += 8) {
    bytes.push_back(static_cast<uint8_t>(value >> shift));
  }
  return Code::FromBytes(std::move(bytes));
}

Code Uuid(std::string_view text) {
  // 19.6.142 "ToUUID": the first three fields are little-endian in the buffer.
  constexpr std::array<uint8_t, 16> kDigits = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
  NANDU_CHECK(text.size() == 36, "a UUID has 36 characters");
  Bytes bytes;
  for (const uint8_t at : kDigits) {
    bytes.push_back(static_cast<uint8_t>(HexDigit(text[at]) << 4 | HexDigit(text[at + 1u])));
  }
  return Buffer(bytes);
}

Code Path(std::string_view path) { return Code::FromBytes(EncodePath(path)); }

Code Arg(unsigned index) {
  NANDU_CHECK(index < 7, "a method has seven arguments at most");
  return Code::FromBytes({static_cast<uint8_t>(kArg0Op + index)});
}

Code Local(unsigned index) {
  NANDU_CHECK(index < 8, "a method has eight locals");
  return Code::FromBytes({static_cast<uint8_t>(kLocal0Op + index)});
}

Code Name(std::string_view path, const Code& value) { return Simple(kNameOp, {Path(path), value}); }

Code Scope(std::string_view path, const Code& body) {
  Bytes bytes = EncodePath(path);
  Append(bytes, body);
  return Packaged({kScopeOp}, bytes);
}

Code Device(std::string_view path, const Code& body) {
  Bytes bytes = EncodePath(path);
  Append(bytes, body);
  return Packaged({kExtPrefix, kDeviceOp}, bytes);
}

Code Processor(std::string_view path, uint8_t id, const Code& body) {
  Bytes bytes = EncodePath(path);
  bytes.push_back(id);
  AppendLittleEndian(bytes, 0, 5);  // no processor block: address and length 0
  Append(bytes, body);
  return Packaged({kExtPrefix, kProcessorOp}, bytes);
}

Code Method(std::string_view path, unsigned arguments, Serialized serialized, const Code& body) {
  NANDU_CHECK(arguments <= 7, "a method has seven arguments at most");
  Bytes bytes = EncodePath(path);
  bytes.push_back(static_cast<uint8_t>(arguments | (serialized == Serialized::kYes ? 0x08u : 0u)));
  Append(bytes, body);
  return Packaged({kMethodOp}, bytes);
}

Code OperationRegion(std::string_view path, RegionSpace space, uint64_t offset, uint64_t bytes) {
  Bytes code = {kExtPrefix, kOpRegionOp};
  Append(code, Path(path));
  code.push_back(static_cast<uint8_t>(space));
  Append(code, Integer(offset));
  Append(code, Integer(bytes));
  return Code::FromBytes(std::move(code));
}

Code Field(std::string_view region, FieldAccess access, bool locked,
           std::initializer_list<FieldElement> elements) {
  Bytes body = EncodePath(region);
  body.push_back(
      static_cast<uint8_t>(static_cast<unsigned>(access) | (locked ? 0x10u : 0u)));  // update rule: preserve
  for (const FieldElement& element : elements) {
    if (element.name.empty()) {
      body.push_back(0);  // ReservedField
    } else {
      AppendSegment(body, element.name);
    }
    // 20.2.5.2: a field's bits are written as a length that does not count itself.
    const Bytes bits = EncodeLength(element.bits);
    body.insert(body.end(), bits.begin(), bits.end());
  }
  return Packaged({kExtPrefix, kFieldOp}, body);
}

Code CreateDwordField(const Code& buffer, const Code& byte_index, std::string_view name) {
  return Simple(kCreateDwordFieldOp, {buffer, byte_index, Path(name)});
}

Code Return(const Code& value) { return Simple(kReturnOp, {value}); }

Code If(const Code& condition, const Code& body) {
  Bytes bytes = condition.bytes();
  Append(bytes, body);
  return Packaged({kIfOp}, bytes);
}

Code Else(const Code& body) { return Packaged({kElseOp}, body.bytes()); }
Code Store(const Code& value, const Code& to) { return Simple(kStoreOp, {value, to}); }
Code And(const Code& a, const Code& b, const Code& to) { return WithTarget(kAndOp, a, b, to); }
Code Or(const Code& a, const Code& b, const Code& to) { return WithTarget(kOrOp, a, b, to); }
Code Add(const Code& a, const Code& b, const Code& to) { return WithTarget(kAddOp, a, b, to); }
Code Index(const Code& of, const Code& at) { return WithTarget(kIndexOp, of, at, {}); }
Code Notify(std::string_view device, uint8_t value) {
  return Simple(kNotifyOp, {Path(device), Integer(value)});
}
Code ShiftRight(const Code& a, const Code& count, const Code& to) {
  return WithTarget(kShiftRightOp, a, count, to);
}
Code Equal(const Code& a, const Code& b) { return Simple(kLequalOp, {a, b}); }
Code Less(const Code& a, const Code& b) { return Simple(kLlessOp, {a, b}); }
Code LogicalOr(const Code& a, const Code& b) { return Simple(kLorOp, {a, b}); }
Code Not(const Code& a) { return Simple(kLnotOp, {a}); }

Code Call(std::string_view path, std::initializer_list<Code> arguments) {
  Code call = Path(path);
  for (const Code& argument : arguments) {
    call += argument;
  }
  return call;
}

Code ResourceTemplate(const Code& descriptors) {
  Bytes bytes = descriptors.bytes();
  bytes.push_back(0x79);  // end tag; checksum 0 counts as correct (6.4.2.9)
  bytes.push_back(0x00);
  return Buffer(bytes);
}

Code IoPorts(uint16_t base, uint8_t alignment, uint8_t length) {
  Bytes bytes = {0x47, 0x01};  // 6.4.2.5, 16-bit decode
  AppendLittleEndian(bytes, base, 2);
  AppendLittleEndian(bytes, base, 2);
  bytes.push_back(alignment);
  bytes.push_back(length);
  return Code::FromBytes(std::move(bytes));
}

Code IrqNoFlags(unsigned irq) {
  NANDU_CHECK(irq < 16, "an ISA interrupt is below 16");
  Bytes bytes = {0x22};  // 6.4.2.1
  AppendLittleEndian(bytes, uint64_t{1} << irq, 2);
  return Code::FromBytes(std::move(bytes));
}

Code Interrupt(std::initializer_list<uint32_t> gsis) {
  constexpr uint8_t kConsumerLevelHighShared = 0x09;
  Bytes bytes = {0x89};  // 6.4.3.6
  AppendLittleEndian(bytes, 2 + 4 * gsis.size(), 2);
  bytes.push_back(kConsumerLevelHighShared);
  bytes.push_back(Narrow<uint8_t>(gsis.size()));
  for (const uint32_t gsi : gsis) {
    AppendLittleEndian(bytes, gsi, 4);
  }
  return Code::FromBytes(std::move(bytes));
}

Code FixedMemory32(uint32_t base, uint32_t length, bool writable) {
  Bytes bytes = {0x86, 0x09, 0x00, static_cast<uint8_t>(writable ? 1 : 0)};  // 6.4.3.4
  AppendLittleEndian(bytes, base, 4);
  AppendLittleEndian(bytes, length, 4);
  return Code::FromBytes(std::move(bytes));
}

Code BusNumbers(uint16_t first, uint16_t last) {
  return EncodeAddressSpace(
      {.tag = kWordAddressSpace, .field_bytes = 2, .resource_type = 2, .first = first, .last = last});
}

Code IoWindow(uint16_t first, uint16_t last) {
  constexpr uint8_t kEntireRange = 0x03;
  return EncodeAddressSpace({.tag = kWordAddressSpace,
                             .field_bytes = 2,
                             .resource_type = 1,
                             .type_flags = kEntireRange,
                             .first = first,
                             .last = last});
}

Code MemoryWindow32(uint32_t first, uint32_t last, bool cacheable) {
  return EncodeAddressSpace({.tag = kDwordAddressSpace,
                             .field_bytes = 4,
                             .type_flags = static_cast<uint8_t>(kReadWrite | (cacheable ? kCacheable : 0)),
                             .first = first,
                             .last = last});
}

Code MemoryWindow64(uint64_t first, uint64_t last, bool cacheable) {
  return EncodeAddressSpace({.tag = kQwordAddressSpace,
                             .field_bytes = 8,
                             .type_flags = static_cast<uint8_t>(kReadWrite | (cacheable ? kCacheable : 0)),
                             .first = first,
                             .last = last});
}

}  // namespace nandu::aml
