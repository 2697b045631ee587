// Options that take JSON as well as key=value: both forms say the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "cli/config_builder.h"

namespace nandu {
namespace {

using testing::HasSubstr;

MachineConfig Config(std::string_view option, std::string_view value) {
  const std::string_view words[] = {"-nodefaults", option, value};
  const auto line = ParseCommandLine(words);
  EXPECT_TRUE(line.has_value()) << (line ? "" : line.error().message);
  return line ? line->config : MachineConfig{};
}

std::string Sentence(std::string_view option, std::string_view value) {
  const std::string_view words[] = {"-nodefaults", option, value};
  const auto line = ParseCommandLine(words);
  return line ? "accepted" : line.error().message;
}

TEST(OptionForms, BothFormsOfDevice) {
  const DeviceConfig plain = Config("-device", "virtio-blk-pci,id=d,drive=n,serial=a,,b").devices.at(0);
  const DeviceConfig json =
      Config("-device", R"({"driver":"virtio-blk-pci","id":"d","drive":"n","serial":"a,b"})").devices.at(0);
  EXPECT_EQ(plain.driver, json.driver);
  EXPECT_EQ(plain.id, json.id);
  EXPECT_EQ(plain.options.values, json.options.values);
}

TEST(OptionForms, BothFormsOfNetdev) {
  EXPECT_EQ(Config("-netdev", "tap,id=n,ifname=tap0").netdevs.at(0).values,
            Config("-netdev", R"({"type":"tap","id":"n","ifname":"tap0"})").netdevs.at(0).values);
}

TEST(OptionForms, ANetdevListsWhatIsGivenSeveralTimes) {
  EXPECT_EQ(
      Config("-netdev", "user,id=n,hostfwd=tcp::1-:2,restrict=on,hostfwd=udp::3-:4").netdevs.at(0).values,
      Config(
          "-netdev",
          R"({"type":"user","id":"n","hostfwd":[{"str":"tcp::1-:2"},{"str":"udp::3-:4"}],"restrict":"on"})")
          .netdevs.at(0)
          .values);
}

TEST(OptionForms, ANetdevsAddressesAreGroups) {
  EXPECT_EQ(
      Config("-netdev", "stream,id=n,server=on,addr.type=unix,addr.path=/run/x").netdevs.at(0).values,
      Config("-netdev", R"({"type":"stream","id":"n","server":"on","addr":{"type":"unix","path":"/run/x"}})")
          .netdevs.at(0)
          .values);
}

TEST(OptionForms, AnAcpiTableIsWholeOrABody) {
  const AcpiTableConfig body = Config("-acpitable", "sig=TEST,rev=3,data=a:b").acpi_tables.at(0);
  EXPECT_EQ(body.fields.sig, "TEST");
  EXPECT_EQ(body.fields.rev, 3);
  EXPECT_EQ(body.files, (std::vector<std::string>{"a", "b"}));
  EXPECT_FALSE(body.whole);
  EXPECT_TRUE(Config("-acpitable", "file=t").acpi_tables.at(0).whole);
  EXPECT_THAT(Sentence("-acpitable", "sig=TEST"), HasSubstr("say where the table is"));
  EXPECT_THAT(Sentence("-acpitable", "file=a,data=b"), HasSubstr("say where the table is"));
  EXPECT_THAT(Sentence("-acpitable", "file=a,oem=b"), HasSubstr("unknown property 'oem'"));
}

TEST(OptionForms, BoardsWithoutAcpi) {
  const std::string_view words[] = {"-nodefaults", "-no-acpi"};
  EXPECT_FALSE(ParseCommandLine(words)->config.acpi);
  EXPECT_FALSE(Config("-machine", "q35,acpi=off").acpi);
  EXPECT_TRUE(Config("-machine", "q35,acpi=auto").acpi);
}

TEST(OptionForms, BothFormsOfBlockdev) {
  EXPECT_EQ(
      Config("-blockdev", "raw,node-name=a,file.driver=file,file.filename=x.raw").blockdevs.at(0).values,
      Config("-blockdev", R"({"driver":"raw","node-name":"a","file":{"driver":"file","filename":"x.raw"}})")
          .blockdevs.at(0)
          .values);
}

TEST(OptionForms, BothFormsOfObject) {
  EXPECT_EQ(Config("-object", "iothread,id=io").iothreads.at(0).values,
            Config("-object", R"({"qom-type":"iothread","id":"io"})").iothreads.at(0).values);
  EXPECT_EQ(Config("-object", "memory-backend-ram,id=m,size=64M").memory_backends.at(0).values,
            Config("-object", R"({"qom-type":"memory-backend-ram","id":"m","size":"64M"})")
                .memory_backends.at(0)
                .values);
}

TEST(OptionForms, BothFormsOfChardev) {
  const ChardevConfig plain = Config("-chardev", "socket,id=c,path=p,server=on").chardevs.at(0);
  const ChardevConfig json =
      Config("-chardev", R"({"backend":"socket","id":"c","path":"p","server":"on"})").chardevs.at(0);
  EXPECT_EQ(plain.id, json.id);
  EXPECT_EQ(plain.options.values, json.options.values);
}

TEST(OptionForms, BothFormsOfAudiodev) {
  EXPECT_EQ(Sentence("-audiodev", "none,id=a"), "accepted");
  EXPECT_EQ(Sentence("-audiodev", R"({"driver":"none","id":"a"})"), "accepted");
  for (const std::string_view value : {R"(spice,id=a)", R"({"driver":"spice","id":"a"})"}) {
    EXPECT_THAT(Sentence("-audiodev", value), HasSubstr("audio driver 'spice' waits for sound"));
  }
  EXPECT_THAT(Sentence("-audiodev", "none"), HasSubstr("needs its driver and an id"));
  EXPECT_THAT(Sentence("-audiodev", "none,id=a,out.frequency=1"), HasSubstr("property 'out'"));
}

TEST(OptionForms, BothFormsOfDisplay) {
  EXPECT_EQ(Sentence("-display", "none"), "accepted");
  EXPECT_EQ(Sentence("-display", R"({"type":"none"})"), "accepted");
  for (const std::string_view value : {R"(gtk,gl=on)", R"({"type":"gtk","gl":"on"})"}) {
    EXPECT_THAT(Sentence("-display", value),
                HasSubstr("it waits for windows and remote displays: there is no display 'gtk'"));
  }
  EXPECT_THAT(Sentence("-display", "vnc=:1"), HasSubstr("'vnc'"));
  EXPECT_THAT(Sentence("-display", "none,gl=on"), HasSubstr("property 'gl' of display 'none'"));
}

TEST(OptionForms, BothFormsOfCompat) {
  EXPECT_EQ(Sentence("-compat", "deprecated-input=crash,unstable-output=hide"), "accepted");
  EXPECT_EQ(Sentence("-compat", R"({"deprecated-input":"crash","unstable-output":"hide"})"), "accepted");
  for (const std::string_view value : {R"(deprecated-input=maybe)", R"({"deprecated-input":"maybe"})"}) {
    EXPECT_THAT(Sentence("-compat", value), HasSubstr("deprecated-input=maybe: known are accept, reject"));
  }
  EXPECT_THAT(Sentence("-compat", "policy=x"), HasSubstr("unknown property 'policy'"));
}

TEST(OptionForms, HalfAnObjectIsRefused) {
  for (const std::string_view option :
       {"-device", "-netdev", "-blockdev", "-object", "-chardev", "-audiodev"}) {
    EXPECT_THAT(Sentence(option, R"({"driver":)"), HasSubstr("JSON")) << option;
  }
}

}  // namespace
}  // namespace nandu
