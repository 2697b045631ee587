// Described structs: one registration (Boost.Describe) drives JSON in and out, equality, schemas and help.
// QMP, device options, saved state and their documentation are all read off the same C++ struct. Any thread.
//
//   struct DriveOptions {                             // plain data, initializers are the defaults
//     std::string filename;
//     std::optional<uint64_t> size_limit;             // on the wire "size-limit"
//     bool read_only = false;                         // on the wire "read-only"
//   };
//   BOOST_DESCRIBE_STRUCT(DriveOptions, (), (filename, size_limit, read_only))
//   Result<> Validate(const DriveOptions& options); // optional, found by ADL: runs once it is filled
//
// TypeOf<T>() is the type-erased description, made on first use; described.cpp holds the one walker over it,
// so a struct costs a table and no parser of its own. Describe stops at 52 members: split larger structs by
// base structs, which are described as well.
//
// Wire names: '_' becomes '-' and a trailing '_' is dropped (`default_`); enumerators lose their k and become
// lower-kebab (kIoError: "io-error"). What does not fit is listed once per struct or enum, beside it:
//   inline std::span<const WireName> WireNames(const BlockInfo*) {
//     static constexpr WireName kNames[] = {{"tray_open", "tray_open"}};
//     return kNames;
//   }
//
// Types: bool, integers (range-checked), double, std::string (no NUL inside), described enums and structs,
// std::optional and std::unique_ptr (absent when empty), std::vector, std::array, std::vector<std::byte> and
// std::array<std::byte, N> (base64 text), boost::json::value (anything), std::monostate (null), and
//   std::variant<A, B>      tagged union of described structs: one object whose "type" member selects the
//                           branch; each says its value by `constexpr std::string_view TagValue(const A*)`
//   Tagged<"driver", A, B>  the same with another tag
//   OneOf<std::string, A>   untagged: the JSON kind selects
//   Flat<T>                 a struct or tagged union whose members stand among those of the struct around it
// WireNames, TagValue and Validate must be declared before the first TypeOf of the type.
#pragma once

#include <array>
#include <boost/describe.hpp>
#include <boost/json/fwd.hpp>
#include <boost/mp11/algorithm.hpp>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "base/result.h"

namespace nandu {

struct TypeInfo;
template <class T>
const TypeInfo& TypeOf();

// ---- what a described struct may be made of besides the standard types ----
template <size_t kSize>
struct FixedString {
  char text[kSize]{};
  constexpr FixedString(const char (&from)[kSize]) {  // NOLINT: implicit, for Tagged<"driver", ...>
    for (size_t i = 0; i < kSize; ++i) {
      text[i] = from[i];
    }
  }
};
template <FixedString kTag, class... Branches>
struct Tagged : std::variant<Branches...> {
  using std::variant<Branches...>::variant;
};
template <class... Branches>
struct OneOf : std::variant<Branches...> {
  using std::variant<Branches...>::variant;
};
template <class T>
struct Flat : T {
  using T::T;
  Flat() = default;
  Flat(T from) : T(std::move(from)) {}  // NOLINT: implicit
};

struct WireName {
  std::string_view member;  // in C++
  std::string_view wire;
};

// ---- the description ----
enum class TypeKind : uint8_t {
  kBool,
  kInteger,
  kDouble,
  kString,
  kEnum,
  kNull,
  kAny,
  kBytes,
  kOptional,
  kVector,
  kArray,
  kStruct,
  kTagged,
  kOneOf,
};

using TypeRef = const TypeInfo& (*)();  // a function, so that a type may contain itself

struct FieldInfo {
  std::string wire;
  size_t offset = 0;
  TypeRef type = nullptr;
  bool flat = false;
};
struct EnumeratorInfo {
  std::string wire;
  int64_t value = 0;
};
struct BranchInfo {
  std::string tag;  // empty in a OneOf
  TypeRef type = nullptr;
};

struct TypeInfo {
  TypeKind kind = TypeKind::kAny;
  std::string name;  // "BlockResizeArgs"; of a container, of what it contains
  size_t size_bytes = 0;
  bool is_signed = false;                   // kInteger, kEnum
  size_t count = 0;                         // kArray, kBytes: elements, 0: any number
  TypeRef element = nullptr;                // kOptional, kVector, kArray
  std::vector<FieldInfo> fields;            // kStruct, bases first
  std::vector<EnumeratorInfo> enumerators;  // kEnum
  std::string tag;                          // kTagged: the member that selects
  std::vector<BranchInfo> branches;         // kTagged, kOneOf

  const void* (*default_object)() = nullptr;          // kStruct: a T{}
  Result<> (*validate)(const void*) = nullptr;        // kStruct: null when the type has no Validate
  void* (*emplace)(void*) = nullptr;                  // kOptional: makes it hold a fresh element
  void (*clear)(void*) = nullptr;                     // kOptional
  const void* (*held)(const void*) = nullptr;         // kOptional: null when empty
  size_t (*length)(const void*) = nullptr;            // kVector, kBytes
  void* (*resize)(void*, size_t) = nullptr;           // kVector, kBytes: fresh elements, answers the first
  const void* (*data)(const void*) = nullptr;         // kVector, kBytes
  size_t (*branch)(const void*) = nullptr;            // kTagged, kOneOf: which one it holds
  void* (*emplace_branch)(void*, size_t) = nullptr;   // kTagged, kOneOf
  const void* (*held_branch)(const void*) = nullptr;  // kTagged, kOneOf

  const FieldInfo* FindField(std::string_view wire) const;  // by wire name; null when there is none
};

// ---- the walker ----
enum class UnknownFields : uint8_t { kRefuse, kIgnore };
enum class AbsentFields : uint8_t {
  kKeepInitializer,  // saved state, device options
  kRefuse,           // QMP: what is not a std::optional must be there
};
struct WalkOptions {
  std::string_view path = {};              // what errors begin with: "arguments"
  std::string_view field_word = "member";  // what errors call a field: "property" of a device
  UnknownFields unknown = UnknownFields::kRefuse;
  AbsentFields absent = AbsentFields::kKeepInitializer;
  bool lenient =
      false;  // command line: numbers, sizes (4k, 1.5G, 0x10) and bools (on, off, yes, no) given as text
  size_t max_bytes_allocated =
      size_t{64} << 20;  // by all vectors together: what is short as text may be large as objects
};

// Fills `out`, an object of the type fresh from its initializers. On an error its content is unspecified but
// valid. Errors carry the path: "arguments.file.filename: expected string, not number".
Result<> FromJson(const TypeInfo& type, void* out, const boost::json::value& value,
                  const WalkOptions& options = {});
boost::json::value ToJson(const TypeInfo& type, const void* object);  // empty optionals are left out
bool Equal(const TypeInfo& type, const void* a, const void* b);

template <class T>
Result<T> FromJson(const boost::json::value& value, const WalkOptions& options = {}) {
  T out{};
  TRY(FromJson(TypeOf<T>(), &out, value, options));
  return out;
}
template <class T>
bool Equal(const T& a, const T& b) {
  return Equal(TypeOf<T>(), &a, &b);
}

// "io-error" of Errc-like enums, for messages and events; a value that has no enumerator is our own bug.
const std::string& EnumText(const TypeInfo& type, const void* value);
template <class E>
requires std::is_enum_v<E>
const std::string& EnumText(E value) { return EnumText(TypeOf<E>(), &value); }
// The enumerator of that wire name, nullptr when there is none.
const EnumeratorInfo* FindEnumerator(const TypeInfo& type, std::string_view wire);

}  // namespace nandu

#include "base/described_types.h"  // IWYU pragma: export
