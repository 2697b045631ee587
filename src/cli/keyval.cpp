#include "cli/keyval.h"

#include "base/json.h"

namespace nandu {
namespace {

// Up to the next single comma; ",," is one comma of the text.
std::string TakeWord(std::string_view* rest) {
  std::string word;
  size_t at = 0;
  while (at < rest->size()) {
    if ((*rest)[at] == ',') {
      if (at + 1 == rest->size() || (*rest)[at + 1] != ',') {
        break;
      }
      ++at;
    }
    word += (*rest)[at++];
  }
  rest->remove_prefix(at < rest->size() ? at + 1 : at);
  return word;
}

Result<> Insert(boost::json::object* object, std::string_view key, const std::string& value) {
  const size_t dot = key.find('.');
  if (dot == std::string_view::npos) {
    object->insert_or_assign(key, value);
    return {};
  }
  const std::string_view head = key.substr(0, dot);
  boost::json::value& child = (*object)[head];
  if (child.is_null()) {
    child = boost::json::object();
  }
  if (!child.is_object()) {
    return Fail(Errc::kInvalidArgument, "'{}' is given both as a value and as a group ('{}')", head, key);
  }
  return Insert(&child.as_object(), key.substr(dot + 1), value);
}

}  // namespace

Result<std::vector<KeyValue>> ParseKeyValues(std::string_view text, std::string_view implied) {
  std::vector<KeyValue> list;
  while (!text.empty()) {
    const bool first = list.empty();
    const std::string word = TakeWord(&text);
    const size_t equals = word.find('=');
    if (equals != std::string::npos && equals > 0) {
      list.push_back({word.substr(0, equals), word.substr(equals + 1), false});
    } else if (first && !implied.empty()) {
      list.push_back({std::string(implied), word, false});
    } else if (word.empty() || equals == 0) {
      return Fail(Errc::kInvalidArgument, "an empty word where key=value belongs");
    } else if (word.starts_with("no") && word.size() > 2) {
      list.push_back({word.substr(2), "off", true});
    } else {
      list.push_back({word, "on", true});
    }
  }
  return list;
}

Result<boost::json::object> ParseOptionBag(std::string_view text, std::string_view implied, Nesting nesting) {
  if (text.starts_with('{')) {
    boost::json::value value = TRY(ParseJson(text));
    return std::move(value.as_object());
  }
  const std::vector<KeyValue> list = TRY(ParseKeyValues(text, implied));
  boost::json::object object;
  for (const KeyValue& item : list) {
    if (nesting == Nesting::kDotted) {
      TRY(Insert(&object, item.key, item.value));
    } else {
      object.insert_or_assign(item.key, item.value);
    }
  }
  return object;
}

Result<std::string> TakeString(boost::json::object* bag, std::string_view key) {
  const boost::json::value* value = bag->if_contains(key);
  if (value == nullptr) {
    return std::string();
  }
  if (!value->is_string()) {
    return Fail(Errc::kInvalidArgument, "{}: expected a string", key);
  }
  std::string text(value->as_string());
  bag->erase(key);
  return text;
}

}  // namespace nandu
