// -object, -numa, -mem-path and -mem-prealloc.
#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include "base/format.h"
#include "cli/builder.h"
#include "cli/keyval.h"
#include "cli/numbers.h"
#include "machine/help.h"

namespace nandu {
namespace {

constexpr unsigned kMostNodes = 128;  // MAX_NODES of QEMU
constexpr unsigned kMostCpus = 4096;
constexpr uint8_t kLocalDistance = 10;
constexpr unsigned kUnreachable = 255;

// "3" or "0-3".
Result<> TakeCpus(std::string_view text, std::vector<unsigned>* cpus) {
  const size_t dash = text.find('-');
  const unsigned first = TRY(NumberFrom(text.substr(0, dash), 0, kMostCpus - 1));
  const unsigned last =
      dash == std::string_view::npos ? first : TRY(NumberFrom(text.substr(dash + 1), first, kMostCpus - 1));
  for (unsigned cpu = first; cpu <= last; ++cpu) {
    cpus->push_back(cpu);
  }
  return {};
}

}  // namespace

Result<> Builder::Object(std::string_view text) {
  if (IsHelp(text)) {
    return Answer(ObjectHelpText());
  }
  if (const auto type = AsksForProperties(text)) {
    return Answer(TRY(ObjectOptionsHelpText(*type)));
  }
  boost::json::object bag = TRY(ParseOptionBag(text, "qom-type", Nesting::kFlat));
  const boost::json::value* type = bag.if_contains("qom-type");
  if (type == nullptr || !type->is_string()) {
    return Fail(Errc::kInvalidArgument, "an object needs its type first: iothread, memory-backend-ram ...");
  }
  const std::string name(type->as_string());
  if (name == "iothread") {
    bag.erase("qom-type");
    config_.iothreads.push_back({std::move(bag), Format("-object {}", text)});
    return {};
  }
  if (name == "memory-backend-ram" || name == "memory-backend-memfd" || name == "memory-backend-file") {
    config_.memory_backends.push_back({std::move(bag), Format("-object {}", text)});
    return {};
  }
  return Fail(Errc::kUnsupported,
              "object type '{}' is not served; known: iothread, memory-backend-ram, memory-backend-memfd, "
              "memory-backend-file",
              name);
}

Result<> Builder::Numa(std::string_view text) {
  const std::vector<KeyValue> items = TRY(ParseKeyValues(text, "type"));
  const std::string kind = items.empty() || items[0].key != "type" ? std::string() : items[0].value;
  if (kind == "node") {
    return NumaNode(std::span(items).subspan(1));
  }
  if (kind == "dist") {
    return NumaDistance(std::span(items).subspan(1));
  }
  return Fail(Errc::kUnsupported, "'{}' is not served; known: -numa node,... and -numa dist,...", kind);
}

Result<> Builder::NumaNode(std::span<const KeyValue> items) {
  NumaConfig::Node node;
  auto id = static_cast<unsigned>(numa_nodes_.size());
  for (const KeyValue& item : items) {
    if (item.key == "nodeid") {
      id = TRY(Prefix(NumberFrom(item.value, 0, kMostNodes - 1), item.key));
    } else if (item.key == "cpus") {
      TRY(Prefix(TakeCpus(item.value, &node.cpus), item.key));
    } else if (item.key == "memdev") {
      node.memdev = item.value;
    } else if (item.key == "mem") {
      return Fail(Errc::kUnsupported,
                  "mem= is not served by this machine type; use memdev= with an -object memory-backend-ram");
    } else {
      return Fail(Errc::kUnsupported, "property '{}' is not served; known: nodeid, cpus, memdev", item.key);
    }
  }
  if (!numa_nodes_.emplace(id, std::move(node)).second) {
    return Fail(Errc::kExists, "there is a node {} already", id);
  }
  return {};
}

Result<> Builder::NumaDistance(std::span<const KeyValue> items) {
  unsigned from = kMostNodes;
  unsigned to = kMostNodes;
  unsigned value = 0;
  for (const KeyValue& item : items) {
    if (item.key == "src") {
      from = TRY(Prefix(NumberFrom(item.value, 0, kMostNodes - 1), item.key));
    } else if (item.key == "dst") {
      to = TRY(Prefix(NumberFrom(item.value, 0, kMostNodes - 1), item.key));
    } else if (item.key == "val") {
      value = TRY(Prefix(NumberFrom(item.value, kLocalDistance, kUnreachable), item.key));
    } else {
      return Fail(Errc::kUnsupported, "property '{}' is not served; known: src, dst, val", item.key);
    }
  }
  if (from == kMostNodes || to == kMostNodes || value == 0) {
    return Fail(Errc::kInvalidArgument, "a distance needs src=, dst= and val=");
  }
  if ((from == to) != (value == kLocalDistance)) {
    return Fail(Errc::kInvalidArgument,
                "a node's distance to itself is {}, and it is further to any other (SLIT)", kLocalDistance);
  }
  numa_distances_[{from, to}] = static_cast<uint8_t>(value);
  return {};
}

Result<> Builder::FinishMemory() {
  if (!mem_path_.empty() || mem_prealloc_) {
    if (!config_.memory_backend.empty() || !config_.memory_backends.empty()) {
      return Fail(
          Errc::kInvalidArgument,
          "-mem-path and -mem-prealloc are for RAM without -object memory-backend-...; give the object "
          "mem-path= or prealloc=on");
    }
    boost::json::object bag{{"id", "pc.ram"},
                            {"size", config_.ram_bytes},
                            {"prealloc", mem_prealloc_},
                            {"x-use-canonical-path-for-ramblock-id", false}};
    bag["qom-type"] = mem_path_.empty() ? "memory-backend-ram" : "memory-backend-file";
    if (!mem_path_.empty()) {
      bag["mem-path"] = mem_path_;
    }
    config_.memory_backends.push_back({std::move(bag), mem_path_.empty() ? "-mem-prealloc" : "-mem-path"});
    config_.memory_backend = "pc.ram";
  }
  return numa_nodes_.empty() ? Result<>() : FinishNuma();
}

Result<> Builder::FinishNuma() {
  const size_t count = numa_nodes_.size();
  if (numa_nodes_.rbegin()->first != count - 1) {
    return Fail(Errc::kInvalidArgument,
                "-numa: there are {} nodes and one has the number {}; number them from 0", count,
                numa_nodes_.rbegin()->first);
  }
  std::vector<int> owner(config_.smp.max_cpus, -1);
  for (auto& [id, node] : numa_nodes_) {
    if (!node.memdev.empty() && !config_.memory_backend.empty()) {
      return Fail(Errc::kInvalidArgument,
                  "-machine memory-backend= and -numa node,memdev= exclude each other: RAM comes from one of "
                  "them");
    }
    for (const unsigned cpu : node.cpus) {
      if (cpu >= owner.size()) {
        return Fail(Errc::kInvalidArgument, "-numa node,nodeid={}: there is no CPU {}; -smp has {}", id, cpu,
                    owner.size());
      }
      if (owner[cpu] >= 0) {
        return Fail(Errc::kInvalidArgument, "-numa: CPU {} is in node {} and in node {}", cpu, owner[cpu],
                    id);
      }
      owner[cpu] = static_cast<int>(id);
    }
  }
  // None assigned: socket after socket, as QEMU. Some of them: there is no telling where the others belong.
  const unsigned per_socket = config_.smp.max_cpus / config_.smp.sockets;
  const bool none = std::ranges::all_of(owner, [](int node) { return node < 0; });
  for (unsigned cpu = 0; cpu < owner.size(); ++cpu) {
    if (none) {
      numa_nodes_[static_cast<unsigned>(cpu / per_socket % count)].cpus.push_back(cpu);
    } else if (owner[cpu] < 0) {
      return Fail(Errc::kInvalidArgument,
                  "-numa: CPU {} is in no node; give every CPU a node with cpus=", cpu);
    }
  }
  for (auto& [id, node] : numa_nodes_) {
    config_.numa.nodes.push_back(std::move(node));
  }
  return FinishDistances();
}

// One direction stands for both where the other was not given.
Result<> Builder::FinishDistances() {
  if (numa_distances_.empty()) {
    return {};
  }
  const auto count = static_cast<unsigned>(config_.numa.nodes.size());
  for (const auto& [pair, value] : numa_distances_) {
    if (std::max(pair.first, pair.second) >= count) {
      return Fail(Errc::kInvalidArgument, "-numa dist: there is no node {}",
                  std::max(pair.first, pair.second));
    }
  }
  config_.numa.distances.assign(count, std::vector<uint8_t>(count, kLocalDistance));
  for (unsigned from = 0; from < count; ++from) {
    for (unsigned to = 0; to < count; ++to) {
      if (from == to) {
        continue;
      }
      auto found = numa_distances_.find({from, to});
      found = found == numa_distances_.end() ? numa_distances_.find({to, from}) : found;
      if (found == numa_distances_.end()) {
        return Fail(Errc::kInvalidArgument, "-numa dist: the distance between node {} and node {} is missing",
                    from, to);
      }
      config_.numa.distances[from][to] = found->second;
    }
  }
  return {};
}

}  // namespace nandu
