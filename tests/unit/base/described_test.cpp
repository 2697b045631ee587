#include "base/described.h"

#include <boost/json/value.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace nandu::testing {

enum class Cache { kWriteback, kDirectSync, kNone };
BOOST_DESCRIBE_ENUM(Cache, kWriteback, kDirectSync, kNone)

struct Throttle {
  uint64_t bytes_per_second = 0;
  std::optional<uint32_t> burst;
};
BOOST_DESCRIBE_STRUCT(Throttle, (), (bytes_per_second, burst))

struct Common {
  std::string id = "none";
  bool read_only = false;
};
BOOST_DESCRIBE_STRUCT(Common, (), (id, read_only))

struct Drive : Common {
  int8_t priority = -3;
  uint8_t queues = 1;
  double ratio = 0.5;
  Cache cache = Cache::kWriteback;
  bool tray_open = false;
  std::string default_;
  std::optional<Throttle> throttle;
  std::vector<uint16_t> ports;
  std::array<uint8_t, 3> mac{};
  std::vector<std::byte> secret;
  boost::json::value extra;
};
inline std::span<const WireName> WireNames(const Drive* /*type*/) {
  static constexpr WireName kNames[] = {{"tray_open", "tray_open"}};
  return kNames;
}
BOOST_DESCRIBE_STRUCT(Drive, (Common),
                      (priority, queues, ratio, cache, tray_open, default_, throttle, ports, mac, secret,
                       extra))
Result<> Validate(const Drive& drive) {
  if (drive.queues == 0) {
    return Fail(Errc::kInvalidArgument, "queues must be at least 1");
  }
  return {};
}

struct Inet {
  std::string host;
  uint16_t port = 0;
};
BOOST_DESCRIBE_STRUCT(Inet, (), (host, port))
constexpr std::string_view TagValue(const Inet* /*type*/) { return "inet"; }
struct Unix {
  std::string path;
};
BOOST_DESCRIBE_STRUCT(Unix, (), (path))
constexpr std::string_view TagValue(const Unix* /*type*/) { return "unix"; }

struct Listen {
  std::variant<Inet, Unix> address;
  OneOf<std::string, Unix, std::monostate> fallback;
};
BOOST_DESCRIBE_STRUCT(Listen, (), (address, fallback))

struct Backend {
  std::string id;
  Flat<Tagged<"driver", Unix, Inet>> driver;
  Flat<Throttle> throttle;
};
BOOST_DESCRIBE_STRUCT(Backend, (), (id, driver, throttle))

struct Node {
  int32_t value = 0;
  std::unique_ptr<Node> next;
  std::vector<Node> children;
};
BOOST_DESCRIBE_STRUCT(Node, (), (value, next, children))

namespace {

constexpr WalkOptions kQmp{.path = "arguments", .absent = AbsentFields::kRefuse};
constexpr WalkOptions kCommandLine{.path = "-device", .field_word = "property", .lenient = true};

template <class T>
T Read(std::string_view text, const WalkOptions& options = {}) {
  Result<boost::json::value> value = ParseJson(text);
  EXPECT_TRUE(value.has_value()) << text;
  Result<T> read = FromJson<T>(*value, options);
  EXPECT_TRUE(read.has_value()) << read.error().message;
  return read ? std::move(*read) : T{};
}
template <class T>
std::string Refusal(std::string_view text, const WalkOptions& options = kQmp) {
  Result<boost::json::value> value = ParseJson(text);
  EXPECT_TRUE(value.has_value()) << text;
  Result<T> read = FromJson<T>(*value, options);
  EXPECT_FALSE(read.has_value());
  return read ? std::string() : read.error().message;
}
template <class T>
std::string Text(const T& object) {
  return JsonText(ToJson(TypeOf<T>(), &object));
}

TEST(Described, WireNamesAreKebabAndExceptionsStand) {
  std::vector<std::string> names;
  for (const FieldInfo& field : TypeOf<Drive>().fields) {
    names.push_back(field.wire);
  }
  EXPECT_THAT(names,
              ::testing::ElementsAre("id", "read-only", "priority", "queues", "ratio", "cache", "tray_open",
                                     "default", "throttle", "ports", "mac", "secret", "extra"));
  EXPECT_EQ(EnumText(Cache::kDirectSync), "direct-sync");
  EXPECT_EQ(internal::EnumeratorWireName("kIOError", {}), "io-error");
  EXPECT_EQ(internal::EnumeratorWireName("kUsb2Hub", {}), "usb2-hub");
  EXPECT_EQ(internal::EnumeratorWireName("kvm", {}), "kvm");
  EXPECT_EQ(TypeOf<Drive>().name, "Drive");
}

TEST(Described, EveryKindIsWrittenAndReadBackEqual) {
  Drive drive;
  drive.id = "d\"0";
  drive.read_only = true;
  drive.priority = -128;
  drive.queues = 255;
  drive.ratio = 2;
  drive.cache = Cache::kNone;
  drive.throttle = Throttle{UINT64_MAX, 7};
  drive.ports = {1, 65535};
  drive.mac = {1, 2, 3};
  drive.secret = {std::byte{0}, std::byte{255}};
  drive.extra = boost::json::object{{"any", nullptr}};
  const std::string text = Text(drive);
  EXPECT_EQ(
      text,
      R"({"id": "d\"0", "read-only": true, "priority": -128, "queues": 255, "ratio": 2.0, "cache": "none", )"
      R"("tray_open": false, "default": "", "throttle": {"bytes-per-second": 18446744073709551615, "burst": 7}, )"
      R"("ports": [1, 65535], "mac": [1, 2, 3], "secret": "AP8=", "extra": {"any": null}})");
  EXPECT_TRUE(Equal(Read<Drive>(text), drive));
}

TEST(Described, EqualSeesEveryField) {
  const auto differs = [](auto change) {
    Drive changed;
    change(changed);
    return !Equal(changed, Drive{});
  };
  EXPECT_TRUE(Equal(Drive{}, Drive{}));
  EXPECT_TRUE(differs([](Drive& d) { d.read_only = true; }));
  EXPECT_TRUE(differs([](Drive& d) { d.priority = 0; }));
  EXPECT_TRUE(differs([](Drive& d) { d.ratio = 1; }));
  EXPECT_TRUE(differs([](Drive& d) { d.cache = Cache::kNone; }));
  EXPECT_TRUE(differs([](Drive& d) { d.throttle.emplace(); }));
  EXPECT_TRUE(differs([](Drive& d) { d.ports = {0}; }));
  EXPECT_TRUE(differs([](Drive& d) { d.mac[2] = 1; }));
  EXPECT_TRUE(differs([](Drive& d) { d.secret.resize(1); }));
  EXPECT_TRUE(differs([](Drive& d) { d.extra = 1; }));
}

TEST(Described, AbsentFieldsKeepTheirInitializers) {
  const Drive drive = Read<Drive>(R"({"queues": 2})");
  EXPECT_EQ(drive.id, "none");
  EXPECT_EQ(drive.priority, -3);
  EXPECT_EQ(drive.queues, 2);
  EXPECT_FALSE(drive.throttle.has_value());
}

TEST(Described, QmpDemandsWhatIsNotOptional) {
  EXPECT_EQ(Refusal<Throttle>("{}"), "arguments: member 'bytes-per-second' is missing");
  EXPECT_EQ(Read<Throttle>(R"({"bytes-per-second": 1})", kQmp).burst, std::nullopt);
}

TEST(Described, UnknownMemberIsNamedWithTheNearest) {
  EXPECT_EQ(Refusal<Throttle>(R"({"byte-per-second": 1})"),
            "arguments: unknown member 'byte-per-second' (did you mean 'bytes-per-second'?)");
  EXPECT_EQ(Refusal<Throttle>(R"({"bytes-per-second": 1, "xyzzy": 1})"), "arguments: unknown member 'xyzzy'");
  EXPECT_EQ(Read<Throttle>(R"({"xyzzy": 1})", {.unknown = UnknownFields::kIgnore}).bytes_per_second, 0U);
}

TEST(Described, WrongKindsNameThePath) {
  EXPECT_EQ(Refusal<Drive>(R"({"throttle": {"bytes-per-second": "4"}})"),
            "arguments.throttle.bytes-per-second: expected number, not string");
  EXPECT_EQ(Refusal<Drive>(R"({"ports": [1, null]})"), "arguments.ports[1]: expected number, not null");
  EXPECT_EQ(Refusal<Drive>(R"({"id": 4})"), "arguments.id: expected string, not number");
  EXPECT_EQ(Refusal<Drive>(R"({"read-only": "on"})"), "arguments.read-only: expected boolean, not string");
  EXPECT_EQ(Refusal<Drive>(R"({"cache": "writebak"})"),
            "arguments.cache: 'writebak' is none of writeback, direct-sync, none");
  EXPECT_EQ(Refusal<Drive>(R"({"mac": [1]})"), "arguments.mac: expected 3 elements, not 1");
  EXPECT_EQ(Refusal<Drive>(R"({"secret": "A"})"), "arguments.secret: expected base64 text");
  EXPECT_EQ(Refusal<Drive>(R"({"throttle": []})"), "arguments.throttle: expected object, not array");
  EXPECT_EQ(Refusal<Drive>("[]", {}), "expected object, not array");
}

TEST(Described, IntegersKeepTheirRange) {
  EXPECT_EQ(Refusal<Drive>(R"({"queues": 256})"), "arguments.queues: must lie between 0 and 255");
  EXPECT_EQ(Refusal<Drive>(R"({"queues": -1})"), "arguments.queues: must lie between 0 and 255");
  EXPECT_EQ(Refusal<Drive>(R"({"priority": -129})"), "arguments.priority: must lie between -128 and 127");
  EXPECT_EQ(Refusal<Drive>(R"({"priority": 18446744073709551615})"),
            "arguments.priority: must lie between -128 and 127");
  EXPECT_EQ(Refusal<Throttle>(R"({"bytes-per-second": 18446744073709551616})"),
            "arguments.bytes-per-second: expected a whole number of at most 64 bits");
  EXPECT_EQ(Refusal<Throttle>(R"({"bytes-per-second": 1.5})"),
            "arguments.bytes-per-second: expected a whole number of at most 64 bits");
  EXPECT_EQ(Read<Drive>(R"({"priority": -128})").priority, -128);
  EXPECT_EQ(Read<Throttle>(R"({"bytes-per-second": 9223372036854775808})").bytes_per_second, 1ULL << 63);
}

TEST(Described, NulInsideAStringIsRefused) {
  EXPECT_EQ(Refusal<Drive>(R"({"id": "a\u0000b"})"), "arguments.id: must not hold a NUL character");
}

TEST(Described, ValidateRunsOnTheFilledStruct) {
  EXPECT_EQ(Refusal<Drive>(R"({"queues": 0})", {.path = "drive0"}), "drive0: queues must be at least 1");
}

TEST(Described, CommandLineTakesText) {
  const Drive drive = Read<Drive>(
      R"({"queues": "0x10", "priority": "-4", "read-only": "on", "ratio": "0.25", "throttle": {"bytes-per-second": "1.5G"}})",
      kCommandLine);
  EXPECT_EQ(drive.queues, 16);
  EXPECT_EQ(drive.priority, -4);
  EXPECT_TRUE(drive.read_only);
  EXPECT_EQ(drive.ratio, 0.25);
  EXPECT_EQ(drive.throttle->bytes_per_second, 3ULL << 29);
}

TEST(Described, CommandLineRefusalsShowTheText) {
  EXPECT_EQ(Refusal<Drive>(R"({"queues": "many"})", kCommandLine),
            "-device.queues: expected number, not 'many'");
  EXPECT_EQ(Refusal<Drive>(R"({"queues": "4k"})", kCommandLine),
            "-device.queues: must lie between 0 and 255");
  EXPECT_EQ(Refusal<Drive>(R"({"read-only": "maybe"})", kCommandLine),
            "-device.read-only: expected on or off, not 'maybe'");
  EXPECT_EQ(Refusal<Drive>(R"({"quees": "1"})", kCommandLine),
            "-device: unknown property 'quees' (did you mean 'queues'?)");
}

TEST(Described, TaggedUnionIsSelectedByItsTag) {
  const Listen listen = Read<Listen>(R"({"address": {"type": "unix", "path": "/x"}, "fallback": "y"})");
  EXPECT_EQ(std::get<Unix>(listen.address).path, "/x");
  EXPECT_EQ(std::get<std::string>(listen.fallback), "y");
  EXPECT_EQ(Text(listen), R"({"address": {"type": "unix", "path": "/x"}, "fallback": "y"})");
}

TEST(Described, TaggedUnionRefusesWhatItsBranchLacks) {
  EXPECT_EQ(Refusal<Listen>(R"({"address": {"path": "/x"}})"), "arguments.address: member 'type' is missing");
  EXPECT_EQ(Refusal<Listen>(R"({"address": {"type": "unx"}})"),
            "arguments.address.type: unknown value 'unx' (did you mean 'unix'?)");
  EXPECT_EQ(Refusal<Listen>(R"({"address": {"type": "inet", "path": "/x", "host": "", "port": 1}})"),
            "arguments.address: unknown member 'path'");
}

TEST(Described, OneOfIsSelectedByTheJsonKind) {
  EXPECT_EQ(std::get<Unix>(Read<Listen>(R"({"fallback": {"path": "z"}})").fallback).path, "z");
  EXPECT_TRUE(std::holds_alternative<std::monostate>(Read<Listen>(R"({"fallback": null})").fallback));
  EXPECT_EQ(Refusal<Listen>(R"({"address": {"type": "unix", "path": ""}, "fallback": 1})"),
            "arguments.fallback: expected str or Unix or null, not number");
}

TEST(Described, FlatMembersStandInTheStructAround) {
  const Backend backend =
      Read<Backend>(R"({"id": "b", "driver": "inet", "host": "h", "port": 9, "bytes-per-second": 5})", kQmp);
  EXPECT_EQ(std::get<Inet>(backend.driver).port, 9);
  EXPECT_EQ(backend.throttle.bytes_per_second, 5U);
  EXPECT_EQ(Text(backend), R"({"id": "b", "driver": "inet", "host": "h", "port": 9, "bytes-per-second": 5})");
  EXPECT_EQ(
      Refusal<Backend>(R"({"id": "b", "driver": "unix", "path": "", "host": "", "bytes-per-second": 5})"),
      "arguments: unknown member 'host'");
}

TEST(Described, TypesMayContainThemselves) {
  const std::string text =
      R"({"value": 1, "next": {"value": 2, "children": []}, "children": [{"value": 3, "children": []}]})";
  const Node node = Read<Node>(text);
  EXPECT_EQ(node.next->value, 2);
  EXPECT_EQ(node.children[0].value, 3);
  EXPECT_EQ(Text(node), text);
}

TEST(Described, VectorsOfLargeElementsAreBounded) {
  std::string text = R"({"children": [{})";
  for (int i = 0; i < 1000; ++i) {
    text += ",{}";
  }
  text += "]}";
  EXPECT_EQ(Refusal<Node>(text, {.max_bytes_allocated = 1000}), "children: 1001 elements are more than fit");
}

TEST(Described, EmptyOptionalElementIsNull) {
  const std::vector<std::optional<uint8_t>> some = {1, std::nullopt};
  EXPECT_EQ(Text(some), "[1, null]");
  EXPECT_EQ(Read<std::vector<std::optional<uint8_t>>>("[1, null]"), some);
}

}  // namespace
}  // namespace nandu::testing
