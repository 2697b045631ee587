#include "block/block_graph.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <set>

#include "base/nearest.h"
#include "block/file_node.h"
#include "block/raw_node.h"

namespace nandu {
namespace {

constexpr std::string_view kDrivers[] = {"file", "host_device", "qcow2", "raw"};

WalkOptions CommandLineWalk() {
  WalkOptions walk;
  walk.field_word = "option";
  walk.lenient = true;
  return walk;
}

Result<std::string> TakeText(boost::json::object* options, std::string_view key) {
  const boost::json::value* value = options->if_contains(key);
  if (value == nullptr) {
    return Fail(Errc::kInvalidArgument, "'{}' is missing", key);
  }
  if (!value->is_string()) {
    return Fail(Errc::kInvalidArgument, "'{}' is a string", key);
  }
  std::string text(value->as_string());
  options->erase(key);
  return text;
}

bool WellFormed(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  return !name.empty() && letter(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) {
    return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  });
}

}  // namespace

Result<> BlockGraph::AddNode(const boost::json::object& options) {
  auto node = TRY(AllOrNothing([&] { return Build(options, nullptr); }));
  return {};
}

Result<std::shared_ptr<GraphNode>> BlockGraph::Build(boost::json::object options, const Inherited* parent) {
  const std::string driver = TRY(TakeText(&options, "driver"));
  if (driver == "raw") {
    return BuildRaw(std::move(options), parent);
  }
  if (driver == "qcow2") {
    return BuildQcow2(std::move(options), parent);
  }
  if (driver == "file" || driver == "host_device") {
    return BuildFile(options, driver, parent);
  }
  return Fail(Errc::kInvalidArgument, "unknown driver '{}'; known: file, host_device, qcow2, raw{}", driver,
              DidYouMean(driver, kDrivers));
}

Result<std::string> BlockGraph::NameNode(const std::optional<std::string>& wanted, Naming naming) {
  if (!wanted) {
    if (naming == Naming::kMust) {
      return Fail(Errc::kInvalidArgument, "'node-name' is missing: it is how devices find the node");
    }
    return Format("#block{}", made_up_names_++);
  }
  if (!WellFormed(*wanted)) {
    return Fail(Errc::kInvalidArgument,
                "node-name '{}' is not of letters, digits, '-', '.' and '_', a letter first", *wanted);
  }
  TRY(CheckNameIsFree(*wanted));
  return *wanted;
}

Result<> BlockGraph::CheckNameIsFree(const std::string& name) const {
  if (Find(name) != nullptr || IsEmptyDrive(name)) {
    return Fail(Errc::kExists, "there is a node or drive '{}' already", name);
  }
  return {};
}

Result<std::shared_ptr<GraphNode>> BlockGraph::BuildFile(const boost::json::object& options,
                                                         std::string_view driver, const Inherited* parent) {
  const FileOptions file = TRY(FromJson<FileOptions>(options, CommandLineWalk()));
  const Inherited from = parent != nullptr ? *parent : Inherited{};
  FileConfig config;
  config.kind = driver == "file" ? FileConfig::Kind::kFile : FileConfig::Kind::kHostDevice;
  config.node_name = TRY(NameNode(file.node_name, parent == nullptr ? Naming::kMust : Naming::kMay));
  if (!file.filename) {
    return Fail(Errc::kInvalidArgument, "{}: 'filename' is missing", config.node_name);
  }
  config.filename = *file.filename;
  config.read_only = file.read_only.value_or(from.read_only);
  config.auto_read_only = file.auto_read_only.value_or(from.auto_read_only);
  config.direct = file.cache.direct.value_or(from.cache.direct.value_or(false));
  config.write_through = from.write_through;
  config.no_flush = file.cache.no_flush.value_or(from.cache.no_flush.value_or(false));
  // A format above decides which discards come this far.
  config.unmap = file.discard ? Unmaps(file.discard) : parent != nullptr;
  config.force_share = file.force_share.value_or(from.force_share);
  config.detect_zeroes = file.detect_zeroes.value_or(DetectZeroes::kOff);
  TRY(Prefix(CheckDetectZeroes(config.detect_zeroes, config.unmap), config.node_name));
  config.aio = file.aio;
  config.locking = file.locking;
  auto opened = FileNode::Open(opener_, config);
  // A made-up name tells nobody anything; the parent's does.
  std::shared_ptr<GraphNode> node =
      TRY(file.node_name ? Prefix(std::move(opened), config.node_name) : std::move(opened));
  nodes_[config.node_name] = node;
  return node;
}

Result<std::shared_ptr<GraphNode>> BlockGraph::BuildRaw(boost::json::object options,
                                                        const Inherited* parent) {
  boost::json::value child_options;
  if (boost::json::value* found = options.if_contains("file")) {
    child_options = std::move(*found);
    options.erase("file");
  }
  const RawOptions raw = TRY(FromJson<RawOptions>(options, CommandLineWalk()));
  const Inherited from = parent != nullptr ? *parent : Inherited{};
  RawConfig config;
  config.node_name = TRY(NameNode(raw.node_name, parent == nullptr ? Naming::kMust : Naming::kMay));
  config.read_only = raw.read_only.value_or(from.read_only);
  config.unmap = Unmaps(raw.discard) || (!raw.discard && parent != nullptr);
  config.detect_zeroes = raw.detect_zeroes.value_or(DetectZeroes::kOff);
  TRY(Prefix(CheckDetectZeroes(config.detect_zeroes, config.unmap), config.node_name));
  config.offset = raw.offset.value_or(0);
  config.size = raw.size;

  Inherited below;
  below.read_only = config.read_only;
  below.auto_read_only = raw.auto_read_only.value_or(from.auto_read_only);
  below.force_share = raw.force_share.value_or(from.force_share);
  below.cache = CacheBelow(raw, from);
  below.write_through = from.write_through;

  const std::shared_ptr<GraphNode> child =
      TRY(Prefix(BuildChild(child_options, "file", below), config.node_name));
  const std::shared_ptr<RawNode> made = TRY(Prefix(RawNode::Create(config, child), config.node_name));
  nodes_[config.node_name] = made;
  return std::shared_ptr<GraphNode>(made);
}

// A child is written in place, or is a node by its name.
Result<std::shared_ptr<GraphNode>> BlockGraph::BuildChild(const boost::json::value& named,
                                                          std::string_view key, const Inherited& below) {
  if (named.is_object()) {
    return Build(named.as_object(), &below);
  }
  if (!named.is_string()) {
    return Fail(Errc::kInvalidArgument, "'{}' is missing: a node's name, or a node's options", key);
  }
  std::shared_ptr<GraphNode> child = Find(named.as_string());
  if (child == nullptr) {
    return Fail(Errc::kNotFound, "there is no node '{}' for '{}'", std::string_view(named.as_string()), key);
  }
  return child;
}

CacheOptions BlockGraph::CacheBelow(const NodeOptions& options, const Inherited& from) {
  return {options.cache.direct ? options.cache.direct : from.cache.direct,
          options.cache.no_flush ? options.cache.no_flush : from.cache.no_flush};
}

bool BlockGraph::IsChild(std::string_view node_name) const {
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& each) {
    const NodeInfo info = each.second->info();
    return info.child == node_name || info.data_file == node_name || info.backing == node_name;
  });
}

Result<> BlockGraph::RemoveNode(std::string_view node_name) {
  const auto at = nodes_.find(node_name);
  if (at == nodes_.end()) {
    return Fail(Errc::kNotFound, "there is no node '{}'", node_name);
  }
  if (!at->second->users().empty()) {
    return Fail(Errc::kBusy, "node '{}' is in use by {}", node_name, at->second->users().front().name);
  }
  for (const auto& [name, node] : nodes_) {
    const NodeInfo info = node->info();
    if (info.child == node_name || info.data_file == node_name || info.backing == node_name) {
      return Fail(Errc::kBusy, "node '{}' is in use by node '{}'", node_name, name);
    }
  }
  const NodeInfo removed = at->second->info();
  nodes_.erase(at);
  RemoveMadeUp(removed);
  return {};
}

// What was written inside a node, or found in its image, goes with it.
void BlockGraph::RemoveMadeUp(const NodeInfo& parent) {
  for (const std::string& name : {parent.child, parent.data_file, parent.backing}) {
    const auto at = nodes_.find(name);
    if (name.starts_with('#') && at != nodes_.end() && !IsChild(name)) {
      const NodeInfo removed = at->second->info();
      nodes_.erase(at);
      RemoveMadeUp(removed);
    }
  }
}

std::shared_ptr<GraphNode> BlockGraph::Find(std::string_view name) const {
  if (const auto drive = drives_.find(name); drive != drives_.end()) {
    return drive->second;
  }
  const auto node = nodes_.find(name);
  return node != nodes_.end() ? node->second : nullptr;
}

Result<std::shared_ptr<BlockNode>> BlockGraph::Claim(std::string_view name, std::string_view user,
                                                     Sharing sharing) {
  const std::shared_ptr<GraphNode> node = Find(name);
  if (node == nullptr && IsEmptyDrive(name)) {
    return Fail(Errc::kNotFound, "drive '{}' has no image; give it file=PATH", name);
  }
  if (node == nullptr) {
    std::vector<std::string_view> known;
    for (const auto* names : {&drives_, &nodes_}) {
      for (const auto& [each, ignored] : *names) {
        known.push_back(each);
      }
    }
    return Fail(Errc::kNotFound, "there is no drive or node '{}'{}", name, DidYouMean(name, known));
  }
  ImageUse use;
  use.used = kPermissionConsistentRead;
  if (!node->configured_read_only() && sharing != Sharing::kReading) {
    use.used |= kPermissionWrite;
  }
  if (sharing != Sharing::kShareWrites) {
    use.shared = static_cast<uint8_t>(use.shared & ~kPermissionWrite);
  }
  const std::string user_name(user);
  TRY(Prefix(node->AddUse(user_name, use), name));
  return std::shared_ptr<BlockNode>(
      node.get(), [node, user_name](BlockNode* /*claimed*/) { node->RemoveUse(user_name); });
}

std::optional<NodeInfo> BlockGraph::InfoOf(std::string_view name) const {
  const std::shared_ptr<GraphNode> node = Find(name);
  return node == nullptr ? std::nullopt : std::optional<NodeInfo>(node->info());
}

std::vector<NodeInfo> BlockGraph::Nodes() const {
  std::vector<NodeInfo> all;
  for (const auto& [name, node] : nodes_) {
    all.push_back(node->info());
  }
  return all;
}

// What a node still has to write is written before its file is given away.
Result<> BlockGraph::ReleaseImages() {
  for (const bool leaves : {false, true}) {
    for (const auto& [name, node] : nodes_) {
      if (node->info().child.empty() == leaves) {
        TRY(Prefix(node->ReleaseImage(), name));
      }
    }
  }
  return {};
}

Result<> BlockGraph::ClaimImages() {
  for (const bool leaves : {true, false}) {
    for (const auto& [name, node] : nodes_) {
      if (node->info().child.empty() == leaves) {
        TRY(Prefix(node->ClaimImage(), name));
      }
    }
  }
  return {};
}

}  // namespace nandu
