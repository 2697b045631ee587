#include "qmp/schema.h"

#include <boost/json/array.hpp>
#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "qmp/registry.h"

namespace nandu::testing {

struct InetAddress {
  std::string host;
};
BOOST_DESCRIBE_STRUCT(InetAddress, (), (host))
constexpr std::string_view TagValue(const InetAddress* /*type*/) { return "inet"; }
struct UnixAddress {
  std::string path;
};
BOOST_DESCRIBE_STRUCT(UnixAddress, (), (path))
constexpr std::string_view TagValue(const UnixAddress* /*type*/) { return "unix"; }

struct ExportArgs {
  std::string id;
  Flat<Tagged<"kind", InetAddress, UnixAddress>> where;
  std::optional<std::vector<uint16_t>> ports;
  OneOf<std::string, InetAddress> fallback;
  std::optional<double> ratio;
  std::vector<std::unique_ptr<ExportArgs>> below;
};
BOOST_DESCRIBE_STRUCT(ExportArgs, (), (id, where, ports, fallback, ratio, below))

namespace {

TEST(QmpSchema, UnionsAlternatesArraysAndRecursionAreWritten) {
  QmpRegistry registry;
  registry.Bind<ExportArgs, Nothing>(
      "export", [](const ExportArgs&, Reply<Nothing> reply) { reply.Return(); }, {.allow_oob = true});
  std::vector<std::string> lines;
  for (const boost::json::value& entry : QmpSchema(registry)) {
    lines.push_back(JsonText(entry));
  }
  EXPECT_THAT(
      lines,
      ::testing::ElementsAre(
          R"({"name": "export", "meta-type": "command", "arg-type": "0", "ret-type": "1", "allow-oob": true})",
          R"({"name": "str", "meta-type": "builtin", "json-type": "string"})",
          R"({"name": "2", "meta-type": "enum", "members": [{"name": "inet"}, {"name": "unix"}], "values": ["inet", "unix"]})",
          R"({"name": "int", "meta-type": "builtin", "json-type": "int"})",
          R"({"name": "[int]", "meta-type": "array", "element-type": "int"})",
          R"({"name": "number", "meta-type": "builtin", "json-type": "number"})",
          R"({"name": "[0]", "meta-type": "array", "element-type": "0"})",
          R"({"name": "0", "meta-type": "object", "tag": "kind", "variants": [{"case": "inet", "type": "3"}, {"case": "unix", "type": "4"}], )"
          R"("members": [{"name": "id", "type": "str"}, {"name": "kind", "type": "2"}, {"name": "ports", "type": "[int]", "default": null}, )"
          R"({"name": "fallback", "type": "5"}, {"name": "ratio", "type": "number", "default": null}, {"name": "below", "type": "[0]"}]})",
          R"({"name": "1", "meta-type": "object", "members": []})",
          R"({"name": "3", "meta-type": "object", "members": [{"name": "host", "type": "str"}]})",
          R"({"name": "4", "meta-type": "object", "members": [{"name": "path", "type": "str"}]})",
          R"({"name": "5", "meta-type": "alternate", "members": [{"type": "str"}, {"type": "3"}]})"));
}

}  // namespace
}  // namespace nandu::testing
