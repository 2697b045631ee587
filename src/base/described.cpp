#include "base/described.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <cstring>

#include "base/base64.h"
#include "base/check.h"

namespace nandu {

namespace {
namespace json = boost::json;

template <class Integer>
const TypeInfo& IntegerType(const char* name) {
  auto* info = new TypeInfo;
  info->kind = TypeKind::kInteger;
  info->name = name;
  info->size_bytes = sizeof(Integer);
  info->is_signed = std::is_signed_v<Integer>;
  return *info;
}

const TypeInfo& PlainType(TypeKind kind, const char* name, size_t size_bytes) {
  auto* info = new TypeInfo;
  info->kind = kind;
  info->name = name;
  info->size_bytes = size_bytes;
  return *info;
}

// An integer or enumerator of 1, 2, 4 or 8 bytes, sign-extended into 64 bits.
int64_t LoadInteger(const TypeInfo& type, const void* from) {
  uint64_t bits = 0;
  std::memcpy(&bits, from, type.size_bytes);  // x86: little-endian
  if (type.is_signed && type.size_bytes < 8) {
    const unsigned shift = 64 - 8 * static_cast<unsigned>(type.size_bytes);
    return static_cast<int64_t>(bits << shift) >> shift;
  }
  return static_cast<int64_t>(bits);
}

void PutStruct(const TypeInfo& type, const void* from, json::object* into);

void PutTagged(const TypeInfo& type, const void* from, json::object* into) {
  const BranchInfo& branch = type.branches[type.branch(from)];
  (*into)[type.tag] = branch.tag;
  PutStruct(branch.type(), type.held_branch(from), into);
}

const void* At(const void* base, size_t offset) { return static_cast<const char*>(base) + offset; }

void PutStruct(const TypeInfo& type, const void* from, json::object* into) {
  for (const FieldInfo& field : type.fields) {
    const TypeInfo& field_type = field.type();
    const void* value = At(from, field.offset);
    if (field.flat && field_type.kind == TypeKind::kTagged) {
      PutTagged(field_type, value, into);
    } else if (field.flat) {
      PutStruct(field_type, value, into);
    } else if (field_type.kind == TypeKind::kOptional) {
      if (const void* held = field_type.held(value)) {
        (*into)[field.wire] = ToJson(field_type.element(), held);
      }
    } else {
      (*into)[field.wire] = ToJson(field_type, value);
    }
  }
}

struct Elements {
  const void* first;
  size_t count;
  size_t stride;
  const TypeInfo* type;
};
Elements ElementsOf(const TypeInfo& type, const void* object) {
  const TypeInfo& element = type.element();
  if (type.kind == TypeKind::kArray) {
    return {object, type.count, element.size_bytes, &element};
  }
  return {type.data(object), type.length(object), element.size_bytes, &element};
}

}  // namespace

template <>
const TypeInfo& TypeOf<bool>() {
  static const TypeInfo& info = PlainType(TypeKind::kBool, "bool", sizeof(bool));
  return info;
}
template <>
const TypeInfo& TypeOf<int8_t>() {
  static const TypeInfo& info = IntegerType<int8_t>("int8");
  return info;
}
template <>
const TypeInfo& TypeOf<uint8_t>() {
  static const TypeInfo& info = IntegerType<uint8_t>("uint8");
  return info;
}
template <>
const TypeInfo& TypeOf<int16_t>() {
  static const TypeInfo& info = IntegerType<int16_t>("int16");
  return info;
}
template <>
const TypeInfo& TypeOf<uint16_t>() {
  static const TypeInfo& info = IntegerType<uint16_t>("uint16");
  return info;
}
template <>
const TypeInfo& TypeOf<int32_t>() {
  static const TypeInfo& info = IntegerType<int32_t>("int32");
  return info;
}
template <>
const TypeInfo& TypeOf<uint32_t>() {
  static const TypeInfo& info = IntegerType<uint32_t>("uint32");
  return info;
}
template <>
const TypeInfo& TypeOf<int64_t>() {
  static const TypeInfo& info = IntegerType<int64_t>("int64");
  return info;
}
template <>
const TypeInfo& TypeOf<uint64_t>() {
  static const TypeInfo& info = IntegerType<uint64_t>("uint64");
  return info;
}
template <>
const TypeInfo& TypeOf<long long>() {
  return TypeOf<int64_t>();
}
template <>
const TypeInfo& TypeOf<unsigned long long>() {
  return TypeOf<uint64_t>();
}
template <>
const TypeInfo& TypeOf<double>() {
  static const TypeInfo& info = PlainType(TypeKind::kDouble, "number", sizeof(double));
  return info;
}
template <>
const TypeInfo& TypeOf<std::string>() {
  static const TypeInfo& info = PlainType(TypeKind::kString, "str", sizeof(std::string));
  return info;
}
template <>
const TypeInfo& TypeOf<std::monostate>() {
  static const TypeInfo& info = PlainType(TypeKind::kNull, "null", sizeof(std::monostate));
  return info;
}
template <>
const TypeInfo& TypeOf<json::value>() {
  static const TypeInfo& info = PlainType(TypeKind::kAny, "any", sizeof(json::value));
  return info;
}

namespace internal {

std::string TypeNameIn(std::string_view pretty_function) {
  // g++: "... PrettyName() [with T = nandu::Foo; std::string_view = ...]"; clang: "... PrettyName() [T =
  // nandu::Foo]".
  const size_t start = pretty_function.find("T = ");
  NANDU_CHECK(start != std::string_view::npos, "the compiler writes T = in __PRETTY_FUNCTION__");
  std::string_view name = pretty_function.substr(start + 4);
  name = name.substr(0, name.find_first_of(";]"));
  if (name.find('<') == std::string_view::npos) {
    const size_t colon = name.rfind("::");
    name = colon == std::string_view::npos ? name : name.substr(colon + 2);
  }
  return std::string(name);
}

namespace {
const WireName* FindException(std::string_view member, std::span<const WireName> exceptions) {
  const auto at = std::find_if(exceptions.begin(), exceptions.end(),
                               [&](const WireName& exception) { return exception.member == member; });
  return at == exceptions.end() ? nullptr : &*at;
}
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
char Lower(char c) { return IsUpper(c) ? static_cast<char>(c - 'A' + 'a') : c; }
}  // namespace

std::string MemberWireName(std::string_view member, std::span<const WireName> exceptions) {
  if (const WireName* exception = FindException(member, exceptions)) {
    return std::string(exception->wire);
  }
  if (member.ends_with('_')) {
    member.remove_suffix(1);
  }
  std::string wire(member);
  std::replace(wire.begin(), wire.end(), '_', '-');
  return wire;
}

std::string EnumeratorWireName(std::string_view enumerator, std::span<const WireName> exceptions) {
  if (const WireName* exception = FindException(enumerator, exceptions)) {
    return std::string(exception->wire);
  }
  if (enumerator.size() > 1 && enumerator[0] == 'k' && !(enumerator[1] >= 'a' && enumerator[1] <= 'z')) {
    enumerator.remove_prefix(1);
  }
  std::string wire;
  for (size_t i = 0; i < enumerator.size(); ++i) {
    const bool starts_word = i > 0 && IsUpper(enumerator[i]) && enumerator[i - 1] != '_' &&
                             (!IsUpper(enumerator[i - 1]) ||
                              (i + 1 < enumerator.size() && Lower(enumerator[i + 1]) == enumerator[i + 1]));
    if (starts_word) {
      wire += '-';
    }
    wire += enumerator[i] == '_' ? '-' : Lower(enumerator[i]);
  }
  return wire;
}

}  // namespace internal

const FieldInfo* TypeInfo::FindField(std::string_view wire) const {
  const auto at =
      std::find_if(fields.begin(), fields.end(), [&](const FieldInfo& field) { return field.wire == wire; });
  return at == fields.end() ? nullptr : &*at;
}

const EnumeratorInfo* FindEnumerator(const TypeInfo& type, std::string_view wire) {
  const auto at = std::find_if(type.enumerators.begin(), type.enumerators.end(),
                               [&](const EnumeratorInfo& enumerator) { return enumerator.wire == wire; });
  return at == type.enumerators.end() ? nullptr : &*at;
}

const std::string& EnumText(const TypeInfo& type, const void* value) {
  const int64_t number = LoadInteger(type, value);
  const auto at = std::find_if(type.enumerators.begin(), type.enumerators.end(),
                               [&](const EnumeratorInfo& enumerator) { return enumerator.value == number; });
  NANDU_CHECK(at != type.enumerators.end(), "an enum holds one of its enumerators");
  return at->wire;
}

json::value ToJson(const TypeInfo& type, const void* object) {
  switch (type.kind) {
    case TypeKind::kBool: return *static_cast<const bool*>(object);
    case TypeKind::kInteger:
      if (type.is_signed) {
        return LoadInteger(type, object);
      }
      return static_cast<uint64_t>(LoadInteger(type, object));
    case TypeKind::kDouble: return *static_cast<const double*>(object);
    case TypeKind::kString: return json::value(*static_cast<const std::string*>(object));
    case TypeKind::kEnum: return json::value(EnumText(type, object));
    case TypeKind::kNull: return nullptr;
    case TypeKind::kAny: return *static_cast<const json::value*>(object);
    case TypeKind::kBytes:
      return json::value(
          EncodeBase64({static_cast<const std::byte*>(type.data(object)), type.length(object)}));
    case TypeKind::kOptional: {
      const void* held = type.held(object);
      return held == nullptr ? json::value(nullptr) : ToJson(type.element(), held);
    }
    case TypeKind::kVector:
    case TypeKind::kArray: {
      const Elements elements = ElementsOf(type, object);
      json::array array;
      array.reserve(elements.count);
      for (size_t i = 0; i < elements.count; ++i) {
        array.push_back(ToJson(*elements.type, At(elements.first, i * elements.stride)));
      }
      return array;
    }
    case TypeKind::kStruct: {
      json::object members;
      PutStruct(type, object, &members);
      return members;
    }
    case TypeKind::kTagged: {
      json::object members;
      PutTagged(type, object, &members);
      return members;
    }
    case TypeKind::kOneOf: return ToJson(type.branches[type.branch(object)].type(), type.held_branch(object));
  }
  return nullptr;
}

bool Equal(const TypeInfo& type, const void* a, const void* b) {
  switch (type.kind) {
    case TypeKind::kBool:
    case TypeKind::kInteger:
    case TypeKind::kEnum: return std::memcmp(a, b, type.size_bytes) == 0;
    case TypeKind::kDouble: return *static_cast<const double*>(a) == *static_cast<const double*>(b);
    case TypeKind::kString: return *static_cast<const std::string*>(a) == *static_cast<const std::string*>(b);
    case TypeKind::kNull: return true;
    case TypeKind::kAny: return *static_cast<const json::value*>(a) == *static_cast<const json::value*>(b);
    case TypeKind::kBytes:
      return type.length(a) == type.length(b) &&
             (type.length(a) == 0 || std::memcmp(type.data(a), type.data(b), type.length(a)) == 0);
    case TypeKind::kOptional: {
      const void* held_a = type.held(a);
      const void* held_b = type.held(b);
      return held_a == nullptr || held_b == nullptr ? held_a == held_b
                                                    : Equal(type.element(), held_a, held_b);
    }
    case TypeKind::kVector:
    case TypeKind::kArray: {
      const Elements in_a = ElementsOf(type, a);
      const Elements in_b = ElementsOf(type, b);
      if (in_a.count != in_b.count) {
        return false;
      }
      for (size_t i = 0; i < in_a.count; ++i) {
        if (!Equal(*in_a.type, At(in_a.first, i * in_a.stride), At(in_b.first, i * in_b.stride))) {
          return false;
        }
      }
      return true;
    }
    case TypeKind::kStruct:
      return std::all_of(type.fields.begin(), type.fields.end(), [&](const FieldInfo& field) {
        return Equal(field.type(), At(a, field.offset), At(b, field.offset));
      });
    case TypeKind::kTagged:
    case TypeKind::kOneOf:
      return type.branch(a) == type.branch(b) &&
             Equal(type.branches[type.branch(a)].type(), type.held_branch(a), type.held_branch(b));
  }
  return false;
}

}  // namespace nandu
