#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/json.h"
#include "base/unique_fd.h"
#include "cli/config_builder.h"
#include "cli/config_file.h"

namespace nandu {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Result<CommandLine> Parse(std::vector<std::string_view> words) { return ParseCommandLine(words); }
std::string ErrorOf(const std::vector<std::string_view>& words) {
  const auto line = ParseCommandLine(words);
  return line ? "accepted" : line.error().message;
}

// A file without a directory; its path.
class TextFile {
 public:
  explicit TextFile(std::string_view text) : fd_(::memfd_create("config", MFD_CLOEXEC)) {
    EXPECT_EQ(::write(fd_.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
  }
  std::string path() const { return Format("/proc/self/fd/{}", fd_.get()); }

 private:
  UniqueFd fd_;
};

std::vector<std::string> Sections(std::string_view text) {
  const auto sections = ParseConfigFile(text, "file");
  if (!sections) {
    return {sections.error().message};
  }
  std::vector<std::string> out;
  for (const ConfigSection& section : *sections) {
    out.push_back(Format("-{} {}", section.option->name, section.value));
  }
  return out;
}

TEST(Expansion, SetGivesAPropertyToAnOptionBeforeIt) {
  const auto line = Parse({"-nodefaults", "-device", "virtio-rng-pci,id=r,period=5", "-set", "device.r.period=7", "-set",
                           "device.r.max-bytes=1"});
  ASSERT_TRUE(line.has_value());
  const boost::json::object& values = line->config.devices.at(0).options.values;
  EXPECT_EQ(values.size(), 2U);
  EXPECT_EQ(values.at("period"), "7");
  EXPECT_EQ(values.at("max-bytes"), "1");
}

TEST(Expansion, SetReachesDrivesAndChardevs) {
  const auto line = Parse({"-drive", "if=none,id=d,format=raw", "-set", "drive.d.file=/vm/a,b=c.img",
                           "-chardev", "file,id=c", "-set", "chardev.c.path=x"});
  ASSERT_TRUE(line.has_value());
  const boost::json::object& drive = line->config.drives.at(0).options.values;
  EXPECT_EQ(drive.size(), 2U);
  EXPECT_EQ(drive.at("format"), "raw");
  EXPECT_EQ(drive.at("file"), "/vm/a,b=c.img");
  EXPECT_EQ(line->config.chardevs.at(0).options.values.at("path"), "x");
}

TEST(Expansion, SetThatReachesNothingIsASentence) {
  EXPECT_EQ(
      ErrorOf({"-set", "device.r.period=7", "-device", "virtio-rng-pci,id=r"}),
      "-set device.r.period=7: no -device before it has the id 'r' (what is written in JSON is not changed)");
  EXPECT_THAT(ErrorOf({"-device", R"({"driver":"virtio-rng-pci","id":"r"})", "-set", "device.r.period=7"}),
              HasSubstr("has the id 'r'"));
  EXPECT_EQ(ErrorOf({"-set", "nope.x.y=z"}), "-set nope.x.y=z: there is no option group 'nope'");
  EXPECT_THAT(ErrorOf({"-object", "iothread,id=o", "-set", "object.o.poll-max-ns=0"}),
              HasSubstr("objects cannot be changed so"));
  for (const std::string_view text :
       {"", "device", "device.x", "device.x=y", "device..y=z", ".x.y=z", "device.x.=z"}) {
    EXPECT_THAT(ErrorOf({"-set", text}), HasSubstr("write GROUP.ID.PROPERTY=VALUE")) << text;
  }
}

TEST(Expansion, FilesStandForTheirOptions) {
  const TextFile file(
      "# a machine\n"
      "[machine]\n  type = \"q35\"\n  hpet = \"off\"\n\n"
      "[memory]\n size=\"256M\"\n"
      "[device \"r\"]\n\tdriver = \"virtio-rng-pci\"\n\tperiod = \"5\"\n");
  const std::string path = file.path();
  const auto line = Parse({"-nodefaults", "-device", "virtio-balloon-pci", "-readconfig", path, "-device",
                           "virtio-serial-pci", "-set", "device.r.period=7"});
  ASSERT_TRUE(line.has_value()) << line.error().message;
  EXPECT_FALSE(line->config.hpet);
  EXPECT_EQ(line->config.ram_bytes, uint64_t{256} << 20);
  ASSERT_EQ(line->config.devices.size(), 3U);
  EXPECT_EQ(line->config.devices[1].driver, "virtio-rng-pci");
  EXPECT_EQ(line->config.devices[1].id, "r");
  EXPECT_EQ(JsonText(line->config.devices[1].options.values), R"({"period": "7"})");
}

TEST(Expansion, FilesThatCannotBeReadAreASentence) {
  EXPECT_THAT(ErrorOf({"-readconfig", "/nonexistent/file"}),
              HasSubstr("-readconfig /nonexistent/file: cannot open"));
  EXPECT_THAT(ErrorOf({"-readconfig", "/dev/null"}), HasSubstr("is no regular file"));
  const TextFile bad("[device]\n\n driver = virtio-rng-pci\n");
  const std::string path = bad.path();
  EXPECT_THAT(ErrorOf({"-readconfig", path}), HasSubstr(", line 3: write [group], [group \"id\"] or key"));
}

TEST(ConfigFile, SectionsAreOptions) {
  EXPECT_THAT(Sections("[drive \"d\"]\nfile = \"a,b\"\nif=\"none\"\n[smp-opts]\r\ncpus = \"2\"\r\n[name]"),
              ElementsAre("-drive file=a,,b,if=none,id=d", "-smp cpus=2", "-name "));
  EXPECT_THAT(Sections(""), ElementsAre());
  EXPECT_THAT(Sections("[device]\nserial = \"\"\n"), ElementsAre("-device serial="));
}

TEST(ConfigFile, WhatIsNoneSaysTheLine) {
  EXPECT_THAT(Sections("[nope]\n"), ElementsAre("file, line 1: there is no option group 'nope'"));
  EXPECT_THAT(Sections("# x\na = \"b\"\n"),
              ElementsAre("file, line 2: 'a' belongs to no section; begin one with [group]"));
  EXPECT_THAT(Sections("[device x]\n"), ElementsAre(HasSubstr("a section is [group]")));
  for (const std::string_view line :
       {"[]", "[", "device", "= \"x\"", "a b = \"x\"", "a = \"x", "a = \"x\" y"}) {
    EXPECT_THAT(Sections(Format("[device]\n{}\n", line)), ElementsAre(HasSubstr("file, line 2: "))) << line;
  }
}

}  // namespace
}  // namespace nandu
