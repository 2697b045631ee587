// FromJson: the one reader of described structs. Its input is hostile: QMP clients, migration peers, command
// lines.
#include <algorithm>
#include <boost/json/value.hpp>
#include <cstring>

#include "base/base64.h"
#include "base/described.h"
#include "base/nearest.h"
#include "base/number_text.h"

namespace nandu {
namespace {

namespace json = boost::json;

// Where the walk is; a chain of frames, written out only for an error.
struct Place {
  const Place* above = nullptr;
  std::string_view name;
  size_t index = SIZE_MAX;  // of an element; SIZE_MAX: a member
};

std::string PathText(const Place& place) {
  std::string path = place.above == nullptr ? std::string() : PathText(*place.above);
  if (place.index != SIZE_MAX) {
    return path + Format("[{}]", place.index);
  }
  if (!path.empty() && !place.name.empty()) {
    path += '.';
  }
  return path += place.name;
}

std::string_view KindText(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_: return "number";
    case json::kind::string: return "string";
    case json::kind::array: return "array";
    case json::kind::object: return "object";
  }
  return "nothing";
}

std::string_view View(const json::string& text) { return {text.data(), text.size()}; }
std::string_view View(json::string_view text) { return {text.data(), text.size()}; }

void* At(void* base, size_t offset) { return static_cast<char*>(base) + offset; }
const void* At(const void* base, size_t offset) { return static_cast<const char*>(base) + offset; }

// What text of a client is shown in an error: enough to recognise it.
std::string_view Shown(std::string_view text) { return text.substr(0, 64); }

class Reader {
 public:
  explicit Reader(const WalkOptions& options) : options_(options), bytes_left_(options.max_bytes_allocated) {}

  Result<> Read(const TypeInfo& type, void* out, const json::value& value, const Place& place);

 private:
  // The names an object may have, and the first one it should have had; judged when all of it is read, since
  // a mistyped name is both.
  struct ObjectNames {
    std::vector<std::string_view> known;
    std::string missing;
  };

  template <class... Args>
  tl::unexpected<Error> Refuse(const Place& place, fmt::format_string<Args...> text, const Args&... args) {
    const std::string path = PathText(place);
    return Fail(Errc::kInvalidArgument, "{}{}{}", path, path.empty() ? "" : ": ", Format(text, args...));
  }
  tl::unexpected<Error> RefuseKind(const Place& place, std::string_view wanted, const json::value& value) {
    if (options_.lenient && value.is_string()) {
      return Refuse(place, "expected {}, not '{}'", wanted, Shown(View(value.get_string())));
    }
    return Refuse(place, "expected {}, not {}", wanted, KindText(value));
  }

  Result<> ReadOptional(const TypeInfo& type, void* out, const json::value& value, const Place& place);
  Result<> ReadBool(void* out, const json::value& value, const Place& place);
  Result<> ReadInteger(const TypeInfo& type, void* out, const json::value& value, const Place& place);
  Result<> ReadDouble(void* out, const json::value& value, const Place& place);
  Result<> ReadString(void* out, const json::value& value, const Place& place);
  Result<> ReadEnum(const TypeInfo& type, void* out, const json::value& value, const Place& place);
  Result<> ReadBytes(const TypeInfo& type, void* out, const json::value& value, const Place& place);
  Result<> ReadElements(const TypeInfo& type, void* out, const json::value& value, const Place& place);
  Result<> ReadObject(const TypeInfo& type, void* out, const json::value& value, const Place& place);
  Result<> ReadStructMembers(const TypeInfo& type, void* out, const json::object& object, const Place& place,
                             ObjectNames* names);
  Result<> ReadTaggedMembers(const TypeInfo& type, void* out, const json::object& object, const Place& place,
                             ObjectNames* names);
  Result<> ReadOneOf(const TypeInfo& type, void* out, const json::value& value, const Place& place);
  Result<> CheckNames(const json::object& object, const Place& place, const ObjectNames& names);
  Result<> ValidateObject(const TypeInfo& type, const void* object, const Place& place);
  Result<> Allocate(size_t elements, size_t element_bytes, const Place& place);

  const WalkOptions& options_;
  size_t bytes_left_;
};

Result<> Reader::Read(const TypeInfo& type, void* out, const json::value& value, const Place& place) {
  switch (type.kind) {
    case TypeKind::kBool: return ReadBool(out, value, place);
    case TypeKind::kInteger: return ReadInteger(type, out, value, place);
    case TypeKind::kDouble: return ReadDouble(out, value, place);
    case TypeKind::kString: return ReadString(out, value, place);
    case TypeKind::kEnum: return ReadEnum(type, out, value, place);
    case TypeKind::kBytes: return ReadBytes(type, out, value, place);
    case TypeKind::kAny: *static_cast<json::value*>(out) = value; return {};
    case TypeKind::kNull:
      if (!value.is_null()) {
        return RefuseKind(place, "null", value);
      }
      return {};
    case TypeKind::kOptional: return ReadOptional(type, out, value, place);
    case TypeKind::kVector:
    case TypeKind::kArray: return ReadElements(type, out, value, place);
    case TypeKind::kStruct:
    case TypeKind::kTagged: return ReadObject(type, out, value, place);
    case TypeKind::kOneOf: return ReadOneOf(type, out, value, place);
  }
  return {};
}

Result<> Reader::ReadOptional(const TypeInfo& type, void* out, const json::value& value, const Place& place) {
  const TypeInfo& element = type.element();
  const bool null_is_a_value =
      element.kind == TypeKind::kNull || element.kind == TypeKind::kAny || element.kind == TypeKind::kOneOf;
  if (value.is_null() && !null_is_a_value) {
    type.clear(out);  // an empty element of an array; an empty member is left out instead
    return {};
  }
  return Read(element, type.emplace(out), value, place);
}

Result<> Reader::ReadBool(void* out, const json::value& value, const Place& place) {
  std::optional<bool> read;
  if (value.is_bool()) {
    read = value.get_bool();
  } else if (options_.lenient && value.is_string()) {
    read = ParseSwitch(View(value.get_string()));
  }
  if (!read) {
    return RefuseKind(place, options_.lenient ? "on or off" : "boolean", value);
  }
  *static_cast<bool*>(out) = *read;
  return {};
}

Result<> Reader::ReadInteger(const TypeInfo& type, void* out, const json::value& value, const Place& place) {
  // Both halves of the 64-bit range: a negative number and a non-negative one.
  std::optional<int64_t> negative;
  std::optional<uint64_t> positive;
  const auto take = [&](int64_t number) {
    if (number < 0) {
      negative = number;
    } else {
      positive = static_cast<uint64_t>(number);
    }
  };
  if (value.is_int64()) {
    take(value.get_int64());
  } else if (value.is_uint64()) {
    positive = value.get_uint64();
  } else if (value.is_double()) {
    return Refuse(place, "expected a whole number of at most 64 bits");
  } else if (options_.lenient && value.is_string()) {
    const std::string_view text = View(value.get_string());
    positive = ParseSize(text);
    if (const std::optional<int64_t> number = ParseSignedSize(text); !positive && number) {
      take(*number);
    }
  }
  if (!negative && !positive) {
    return RefuseKind(place, "number", value);
  }
  const unsigned bits = 8 * static_cast<unsigned>(type.size_bytes) - (type.is_signed ? 1 : 0);
  const uint64_t largest = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
  const int64_t smallest = type.is_signed ? -static_cast<int64_t>(largest) - 1 : 0;
  if ((negative && *negative < smallest) || (positive && *positive > largest)) {
    return Refuse(place, "must lie between {} and {}", smallest, largest);
  }
  const uint64_t number = negative ? static_cast<uint64_t>(*negative) : *positive;
  std::memcpy(out, &number, type.size_bytes);  // x86: little-endian
  return {};
}

Result<> Reader::ReadDouble(void* out, const json::value& value, const Place& place) {
  std::optional<double> read;
  if (value.is_double()) {
    read = value.get_double();
  } else if (value.is_int64()) {
    read = static_cast<double>(value.get_int64());
  } else if (value.is_uint64()) {
    read = static_cast<double>(value.get_uint64());
  } else if (options_.lenient && value.is_string()) {
    read = ParseDouble(View(value.get_string()));
  }
  if (!read) {
    return RefuseKind(place, "number", value);
  }
  *static_cast<double*>(out) = *read;
  return {};
}

Result<> Reader::ReadString(void* out, const json::value& value, const Place& place) {
  if (!value.is_string()) {
    return RefuseKind(place, "string", value);
  }
  const std::string_view text = View(value.get_string());
  if (text.find('\0') != std::string_view::npos) {
    // Names and paths end up in C interfaces, which would read a shorter one than was checked.
    return Refuse(place, "must not hold a NUL character");
  }
  *static_cast<std::string*>(out) = text;
  return {};
}

Result<> Reader::ReadEnum(const TypeInfo& type, void* out, const json::value& value, const Place& place) {
  std::string_view text;
  if (value.is_string()) {
    text = View(value.get_string());
  } else {
    return RefuseKind(place, "string", value);
  }
  const EnumeratorInfo* found = FindEnumerator(type, text);
  if (found == nullptr) {
    std::vector<std::string_view> known;
    std::string list;
    for (const EnumeratorInfo& enumerator : type.enumerators) {
      known.push_back(enumerator.wire);
      list += (list.empty() ? "" : ", ") + enumerator.wire;
    }
    if (known.size() > 12) {
      return Refuse(place, "'{}' is none of its values{}", Shown(text), DidYouMean(Shown(text), known));
    }
    return Refuse(place, "'{}' is none of {}", Shown(text), list);
  }
  std::memcpy(out, &found->value, type.size_bytes);
  return {};
}

Result<> Reader::Allocate(size_t elements, size_t element_bytes, const Place& place) {
  if (element_bytes != 0 && elements > bytes_left_ / element_bytes) {
    return Refuse(place, "{} elements are more than fit", elements);
  }
  bytes_left_ -= elements * element_bytes;
  return {};
}

Result<> Reader::ReadBytes(const TypeInfo& type, void* out, const json::value& value, const Place& place) {
  if (!value.is_string()) {
    return RefuseKind(place, "base64 text", value);
  }
  const json::string& text = value.get_string();
  TRY(Allocate(text.size(), 1, place));
  const std::optional<std::vector<std::byte>> bytes = DecodeBase64(View(text));
  if (!bytes) {
    return Refuse(place, "expected base64 text");
  }
  if (type.count != 0 && bytes->size() != type.count) {
    return Refuse(place, "expected {} bytes, not {}", type.count, bytes->size());
  }
  void* into = type.resize(out, bytes->size());
  if (!bytes->empty()) {
    std::memcpy(into, bytes->data(), bytes->size());
  }
  return {};
}

Result<> Reader::ReadElements(const TypeInfo& type, void* out, const json::value& value, const Place& place) {
  if (!value.is_array()) {
    return RefuseKind(place, "array", value);
  }
  const json::array& array = value.get_array();
  const TypeInfo& element = type.element();
  void* first = out;
  if (type.kind == TypeKind::kVector) {
    TRY(Allocate(array.size(), element.size_bytes, place));
    first = type.resize(out, array.size());
  } else if (array.size() != type.count) {
    return Refuse(place, "expected {} elements, not {}", type.count, array.size());
  }
  for (size_t i = 0; i < array.size(); ++i) {
    TRY(Read(element, At(first, i * element.size_bytes), array[i], {&place, {}, i}));
  }
  return {};
}

Result<> Reader::ReadObject(const TypeInfo& type, void* out, const json::value& value, const Place& place) {
  if (!value.is_object()) {
    return RefuseKind(place, "object", value);
  }
  const json::object& object = value.get_object();
  ObjectNames names;
  if (type.kind == TypeKind::kTagged) {
    TRY(ReadTaggedMembers(type, out, object, place, &names));
  } else {
    TRY(ReadStructMembers(type, out, object, place, &names));
  }
  TRY(CheckNames(object, place, names));
  return ValidateObject(type, out, place);
}

Result<> Reader::ReadStructMembers(const TypeInfo& type, void* out, const json::object& object,
                                   const Place& place, ObjectNames* names) {
  for (const FieldInfo& field : type.fields) {
    const TypeInfo& field_type = field.type();
    void* into = At(out, field.offset);
    if (field.flat && field_type.kind == TypeKind::kTagged) {
      TRY(ReadTaggedMembers(field_type, into, object, place, names));
      continue;
    }
    if (field.flat) {
      TRY(ReadStructMembers(field_type, into, object, place, names));
      continue;
    }
    names->known.push_back(field.wire);
    if (const json::value* value = object.if_contains(field.wire)) {
      TRY(Read(field_type, into, *value, {&place, field.wire}));
    } else if (options_.absent == AbsentFields::kRefuse && field_type.kind != TypeKind::kOptional &&
               names->missing.empty()) {
      names->missing = field.wire;
    }
  }
  return {};
}

Result<> Reader::ReadTaggedMembers(const TypeInfo& type, void* out, const json::object& object,
                                   const Place& place, ObjectNames* names) {
  names->known.push_back(type.tag);
  const json::value* tag = object.if_contains(type.tag);
  if (tag == nullptr) {
    return Refuse(place, "member '{}' is missing", type.tag);
  }
  const Place tag_place{&place, type.tag};
  if (!tag->is_string()) {
    return RefuseKind(tag_place, "string", *tag);
  }
  const std::string_view text = View(tag->get_string());
  std::vector<std::string_view> known;
  for (size_t i = 0; i < type.branches.size(); ++i) {
    const BranchInfo& branch = type.branches[i];
    if (branch.tag == text) {
      return ReadStructMembers(branch.type(), type.emplace_branch(out, i), object, place, names);
    }
    known.push_back(branch.tag);
  }
  return Refuse(tag_place, "unknown value '{}'{}", Shown(text), DidYouMean(Shown(text), known));
}

Result<> Reader::CheckNames(const json::object& object, const Place& place, const ObjectNames& names) {
  if (options_.unknown == UnknownFields::kRefuse) {
    for (const json::key_value_pair& member : object) {
      const std::string_view name = View(member.key());
      if (std::find(names.known.begin(), names.known.end(), name) == names.known.end()) {
        return Refuse(place, "unknown {} '{}'{}", options_.field_word, Shown(name),
                      DidYouMean(Shown(name), names.known));
      }
    }
  }
  if (!names.missing.empty()) {
    return Refuse(place, "{} '{}' is missing", options_.field_word, names.missing);
  }
  return {};
}

Result<> Reader::ValidateObject(const TypeInfo& type, const void* object, const Place& place) {
  if (type.kind == TypeKind::kTagged) {
    return ValidateObject(type.branches[type.branch(object)].type(), type.held_branch(object), place);
  }
  for (const FieldInfo& field : type.fields) {
    if (field.flat) {
      TRY(ValidateObject(field.type(), At(object, field.offset), place));
    }
  }
  if (type.validate == nullptr) {
    return {};
  }
  const std::string path = PathText(place);
  Result<> valid = type.validate(object);
  return path.empty() ? valid : Prefix(std::move(valid), path);
}

// Which branches could hold a value of this JSON kind; a tagged object or struct for an object, and so on.
bool Accepts(const TypeInfo& type, const json::value& value) {
  switch (type.kind) {
    case TypeKind::kBool: return value.is_bool();
    case TypeKind::kInteger:
    case TypeKind::kDouble: return value.is_number();
    case TypeKind::kString:
    case TypeKind::kEnum:
    case TypeKind::kBytes: return value.is_string();
    case TypeKind::kNull: return value.is_null();
    case TypeKind::kAny:
    case TypeKind::kOptional: return true;
    case TypeKind::kVector:
    case TypeKind::kArray: return value.is_array();
    case TypeKind::kStruct:
    case TypeKind::kTagged: return value.is_object();
    case TypeKind::kOneOf:
      return std::any_of(type.branches.begin(), type.branches.end(),
                         [&](const BranchInfo& branch) { return Accepts(branch.type(), value); });
  }
  return false;
}

Result<> Reader::ReadOneOf(const TypeInfo& type, void* out, const json::value& value, const Place& place) {
  for (size_t i = 0; i < type.branches.size(); ++i) {
    const TypeInfo& branch = type.branches[i].type();
    if (Accepts(branch, value)) {
      return Read(branch, type.emplace_branch(out, i), value, place);
    }
  }
  // On a command line everything is text: the first branch that can be read from it.
  for (size_t i = 0; options_.lenient && value.is_string() && i < type.branches.size(); ++i) {
    if (Read(type.branches[i].type(), type.emplace_branch(out, i), value, place)) {
      return {};
    }
  }
  std::string wanted;
  for (const BranchInfo& branch : type.branches) {
    wanted += (wanted.empty() ? "" : " or ") + branch.type().name;
  }
  return RefuseKind(place, wanted, value);
}

}  // namespace

Result<> FromJson(const TypeInfo& type, void* out, const json::value& value, const WalkOptions& options) {
  return Reader(options).Read(type, out, value, {nullptr, options.path});
}

}  // namespace nandu
