#include "qmp/schema.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "qmp/registry.h"

namespace nandu {
namespace {

namespace json = boost::json;

class SchemaWriter {
 public:
  json::array Write(const QmpRegistry& registry) {
    for (const auto& [name, command] : registry.commands()) {
      json::object entry;
      entry["name"] = name;
      entry["meta-type"] = "command";
      entry["arg-type"] = NameOf(*command.arguments);
      entry["ret-type"] = NameOf(*command.reply);
      if (command.traits.allow_oob) {
        entry["allow-oob"] = true;
      }
      schema_.push_back(std::move(entry));
    }
    for (const auto& [name, event] : registry.events()) {
      json::object entry;
      entry["name"] = name;
      entry["meta-type"] = "event";
      entry["arg-type"] = NameOf(*event.data);
      schema_.push_back(std::move(entry));
    }
    // A type is written once it has been named; writing it may name more.
    while (!to_write_.empty()) {
      const auto [type, name] = to_write_.front();
      to_write_.pop_front();
      WriteType(*type, name);
    }
    return std::move(schema_);
  }

 private:
  // The name of a type; an optional is its element with a mark on the member.
  std::string NameOf(const TypeInfo& type) {
    switch (type.kind) {
      case TypeKind::kBool: return Builtin("bool", "boolean");
      case TypeKind::kInteger: return Builtin("int", "int");
      case TypeKind::kDouble: return Builtin("number", "number");
      case TypeKind::kString:
      case TypeKind::kBytes: return Builtin("str", "string");
      case TypeKind::kNull: return Builtin("null", "null");
      case TypeKind::kAny: return Builtin("any", "value");
      case TypeKind::kOptional: return NameOf(type.element());
      case TypeKind::kVector:
      case TypeKind::kArray: return ArrayOf(NameOf(type.element()));
      case TypeKind::kEnum:
      case TypeKind::kStruct:
      case TypeKind::kTagged:
      case TypeKind::kOneOf: break;
    }
    const auto [at, fresh] = names_.try_emplace(&type);
    if (fresh) {
      at->second = std::to_string(next_number_++);
      to_write_.emplace_back(&type, at->second);
    }
    return at->second;
  }

  std::string Builtin(const char* name, const char* json_type) {
    if (written_.insert(name).second) {
      schema_.push_back(json::object{{"name", name}, {"meta-type", "builtin"}, {"json-type", json_type}});
    }
    return name;
  }

  std::string ArrayOf(const std::string& element) {
    std::string name = "[" + element + "]";
    if (written_.insert(name).second) {
      schema_.push_back(json::object{{"name", name}, {"meta-type", "array"}, {"element-type", element}});
    }
    return name;
  }

  void WriteType(const TypeInfo& type, const std::string& name) {
    if (type.kind == TypeKind::kEnum) {
      std::vector<std::string> values;
      for (const EnumeratorInfo& enumerator : type.enumerators) {
        values.push_back(enumerator.wire);
      }
      WriteEnum(name, values);
    } else if (type.kind == TypeKind::kOneOf) {
      json::array members;
      for (const BranchInfo& branch : type.branches) {
        members.push_back(json::object{{"type", NameOf(branch.type())}});
      }
      schema_.push_back(
          json::object{{"name", name}, {"meta-type", "alternate"}, {"members", std::move(members)}});
    } else {
      json::object entry{{"name", name}, {"meta-type", "object"}};
      json::array members;
      if (type.kind == TypeKind::kTagged) {
        AddTagged(type, &members, &entry);
      } else {
        AddMembers(type, &members, &entry);
      }
      entry["members"] = std::move(members);
      schema_.push_back(std::move(entry));
    }
  }

  void WriteEnum(const std::string& name, const std::vector<std::string>& values) {
    json::array members;
    json::array old_values;  // what clients before QEMU 6.2 read
    for (const std::string& value : values) {
      members.push_back(json::object{{"name", value}});
      old_values.push_back(json::value(value));
    }
    schema_.push_back(json::object{{"name", name},
                                   {"meta-type", "enum"},
                                   {"members", std::move(members)},
                                   {"values", std::move(old_values)}});
  }

  void AddMembers(const TypeInfo& type, json::array* members, json::object* entry) {
    for (const FieldInfo& field : type.fields) {
      const TypeInfo& field_type = field.type();
      if (field.flat && field_type.kind == TypeKind::kTagged) {
        AddTagged(field_type, members, entry);
        continue;
      }
      if (field.flat) {
        AddMembers(field_type, members, entry);
        continue;
      }
      json::object member{{"name", field.wire}, {"type", NameOf(field_type)}};
      if (field_type.kind == TypeKind::kOptional) {
        member["default"] = nullptr;  // "may be left out"
      }
      members->push_back(std::move(member));
    }
  }

  void AddTagged(const TypeInfo& type, json::array* members, json::object* entry) {
    const std::string tag_type = std::to_string(next_number_++);
    json::array variants;
    std::vector<std::string> cases;
    for (const BranchInfo& branch : type.branches) {
      cases.push_back(branch.tag);
      variants.push_back(json::object{{"case", branch.tag}, {"type", NameOf(branch.type())}});
    }
    WriteEnum(tag_type, cases);
    members->push_back(json::object{{"name", type.tag}, {"type", tag_type}});
    (*entry)["tag"] = type.tag;
    (*entry)["variants"] = std::move(variants);
  }

  json::array schema_;
  std::map<const TypeInfo*, std::string> names_;
  std::set<std::string> written_;  // builtins and arrays
  std::deque<std::pair<const TypeInfo*, std::string>> to_write_;
  unsigned next_number_ = 0;
};

}  // namespace

json::array QmpSchema(const QmpRegistry& registry) { return SchemaWriter().Write(registry); }

}  // namespace nandu
