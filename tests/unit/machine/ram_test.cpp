#include "machine/ram.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <filesystem>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "memory/gpa.h"

namespace nandu {
namespace {

using testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;

class RamTest : public testing::Test {
 protected:
  RamTest() { config_.ram_bytes = 64 * kMiB; }
  ~RamTest() override { std::filesystem::remove_all(directory_); }
  void AddBackend(std::string_view json) {
    config_.memory_backends.push_back({boost::json::parse(json).as_object(), "-object x"});
  }
  Result<BoardRam> Create() { return CreateRam(*opener_, config_); }
  std::string ErrorOf() {
    const Result<BoardRam> ram = Create();
    EXPECT_FALSE(ram.has_value());
    return ram ? std::string() : ram.error().message;
  }

  const std::filesystem::path directory_ =
      std::filesystem::temp_directory_path() / ("nandu-ram-test-" + std::to_string(getpid()));
  const std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  MachineConfig config_;
};

TEST_F(RamTest, IsOneAnonymousBlockByDefault) {
  const BoardRam ram = Create().value();
  ASSERT_EQ(ram.blocks.size(), 1U);
  EXPECT_EQ(ram.blocks[0]->name(), "pc.ram");
  EXPECT_EQ(ram.blocks[0]->size(), 64 * kMiB);
  EXPECT_EQ(ram.blocks[0]->fd(), -1);
  EXPECT_TRUE(ram.node_bytes.empty());
}

TEST_F(RamTest, MemfdIsSharedAndKeepsItsSize) {
  AddBackend(R"({"qom-type": "memory-backend-memfd", "id": "pc.ram", "size": "64M",
                 "x-use-canonical-path-for-ramblock-id": false})");
  config_.memory_backend = "pc.ram";
  const BoardRam ram = Create().value();
  EXPECT_TRUE(ram.blocks.at(0)->shared());
  EXPECT_EQ(ram.blocks[0]->name(), "pc.ram");
  EXPECT_NE(ftruncate(ram.blocks[0]->fd(), 0), 0);
}

TEST_F(RamTest, FileIsMadeAndHoldsTheMemory) {
  std::filesystem::create_directory(directory_);
  const std::string path = directory_ / "ram";
  AddBackend(
      R"({"qom-type": "memory-backend-file", "id": "m", "size": 67108864, "share": true, "mem-path": ")" +
      path + R"("})");
  config_.memory_backend = "m";
  const BoardRam ram = Create().value();
  ram.blocks.at(0)->bytes()[5] = std::byte{'x'};
  std::ifstream file(path);
  file.seekg(5);
  EXPECT_EQ(file.get(), 'x');
  EXPECT_EQ(std::filesystem::file_size(path), 64 * kMiB);
  EXPECT_EQ(ram.blocks[0]->name(), "/objects/m");
}

TEST_F(RamTest, DirectoryGetsAFileWithoutAName) {
  std::filesystem::create_directory(directory_);
  AddBackend(R"({"qom-type": "memory-backend-file", "id": "m", "size": 67108864, "mem-path": ")" +
             directory_.string() + R"("})");
  config_.memory_backend = "m";
  ASSERT_TRUE(Create().has_value());
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(RamTest, FileThatIsTooShortIsRefused) {
  std::filesystem::create_directory(directory_);
  const std::string path = directory_ / "ram";
  std::ofstream(path) << "short";
  AddBackend(R"({"qom-type": "memory-backend-file", "id": "m", "size": 67108864, "mem-path": ")" + path +
             R"("})");
  config_.memory_backend = "m";
  EXPECT_THAT(ErrorOf(), HasSubstr("has 5 bytes and size= asks for 67108864"));
}

TEST_F(RamTest, NodesTakeTheirBackendsInOrder) {
  AddBackend(R"({"qom-type": "memory-backend-ram", "id": "b", "size": "48M"})");
  AddBackend(R"({"qom-type": "memory-backend-ram", "id": "a", "size": "16M"})");
  config_.numa.nodes = {{{0}, "a"}, {{1}, "b"}, {{2}, ""}};
  const BoardRam ram = Create().value();
  ASSERT_EQ(ram.blocks.size(), 2U);
  EXPECT_EQ(ram.blocks[0]->name(), "a");
  EXPECT_EQ(ram.blocks[1]->name(), "b");
  EXPECT_THAT(ram.node_bytes, testing::ElementsAre(16 * kMiB, 48 * kMiB, 0));
}

TEST_F(RamTest, NodesWithoutBackendsShareEvenly) {
  config_.ram_bytes = 100 * kMiB;
  config_.numa.nodes = {{{0}, ""}, {{1}, ""}, {{2}, ""}};
  EXPECT_THAT(Create().value().node_bytes, testing::ElementsAre(32 * kMiB, 32 * kMiB, 36 * kMiB));
}

TEST_F(RamTest, WhatDoesNotFitIsNamed) {
  AddBackend(R"({"qom-type": "memory-backend-ram", "id": "m", "size": "1G"})");
  EXPECT_THAT(ErrorOf(), HasSubstr("'m' is used by nothing"));
  config_.memory_backend = "m";
  EXPECT_THAT(ErrorOf(), HasSubstr("make both the same"));
  config_.memory_backend = "n";
  EXPECT_THAT(ErrorOf(), HasSubstr("no memory backend 'n'"));
  config_.memory_backend.clear();
  config_.numa.nodes = {{{0}, "m"}};
  EXPECT_THAT(ErrorOf(), HasSubstr("the nodes have 1073741824 bytes together"));
  config_.numa.nodes = {{{0}, "m"}, {{1}, "m"}};
  EXPECT_THAT(ErrorOf(), HasSubstr("in use already"));
}

TEST_F(RamTest, PropertiesThatAreNotServedAreRefused) {
  const std::string begin = R"({"qom-type": "memory-backend-ram", "id": "m", "size": "64M", )";
  for (const auto& [property, sentence] :
       {std::pair(R"("host-nodes": "0-1"})", "needs a policy="),
        std::pair(R"("host-nodes": "x", "policy": "bind"})", "'x' is no node"),
        std::pair(R"("prealloc-threads": 0})", "give it one at least"),
        std::pair(R"("sharing": true})", "sharing")}) {
    config_.memory_backends.clear();
    AddBackend(begin + property);
    EXPECT_THAT(ErrorOf(), HasSubstr(sentence));
  }
}

}  // namespace
}  // namespace nandu
