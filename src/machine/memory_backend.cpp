#include "machine/memory_backend.h"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <fcntl.h>
#include <linux/memfd.h>
#include <optional>
#include <sys/mman.h>
#include <sys/stat.h>
#include <vector>

#include "base/checked.h"
#include "base/described.h"
#include "base/json.h"
#include "memory/ram_policy.h"

namespace nandu {

BOOST_DESCRIBE_ENUM(NumaPolicy, kDefault, kPreferred, kBind, kInterleave)

namespace {

constexpr unsigned kMostHostNodes = 1024;

// What all three have (QEMU's HostMemoryBackendProperties).
struct BackendOptions {
  std::string id;
  uint64_t size = 0;
  std::optional<bool> merge;  // absent: as -machine mem-merge
  std::optional<bool> dump;   // absent: as -machine dump-guest-core
  std::optional<bool> share;
  std::optional<bool> reserve;
  bool prealloc = false;
  std::optional<uint32_t> prealloc_threads;  // absent: as many as vCPUs
  std::optional<boost::json::value> host_nodes;
  NumaPolicy policy = NumaPolicy::kDefault;
  std::optional<bool> x_use_canonical_path_for_ramblock_id;
};
BOOST_DESCRIBE_STRUCT(BackendOptions, (),
                      (id, size, merge, dump, share, reserve, prealloc, prealloc_threads, host_nodes, policy,
                       x_use_canonical_path_for_ramblock_id))

struct MemfdOptions : BackendOptions {
  bool hugetlb = false;
  std::optional<uint64_t> hugetlbsize;
  bool seal = true;
};
BOOST_DESCRIBE_STRUCT(MemfdOptions, (BackendOptions), (hugetlb, hugetlbsize, seal))

struct FileOptions : BackendOptions {
  std::string mem_path;
  bool discard_data = false;
  bool pmem = false;
  bool readonly = false;
};
BOOST_DESCRIBE_STRUCT(FileOptions, (BackendOptions), (mem_path, discard_data, pmem, readonly))

Result<> Validate(const BackendOptions& options) {
  if (options.id.empty() || options.size == 0) {
    return Fail(Errc::kInvalidArgument, "a memory backend needs id= and size=");
  }
  if (options.prealloc_threads && *options.prealloc_threads == 0) {
    return Fail(Errc::kInvalidArgument, "prealloc-threads=0 would never be done; give it one at least");
  }
  return {};
}

Result<> Validate(const MemfdOptions& options) {
  TRY(Validate(static_cast<const BackendOptions&>(options)));
  if (options.hugetlbsize) {
    if (!options.hugetlb) {
      return Fail(Errc::kInvalidArgument, "hugetlbsize= belongs to hugetlb=on");
    }
    if (!IsPowerOfTwo(*options.hugetlbsize)) {
      return Fail(Errc::kInvalidArgument, "hugetlbsize={} is no power of two", *options.hugetlbsize);
    }
  }
  return {};
}

Result<> Validate(const FileOptions& options) {
  TRY(Validate(static_cast<const BackendOptions&>(options)));
  if (options.mem_path.empty()) {
    return Fail(Errc::kInvalidArgument, "a memory-backend-file needs mem-path=");
  }
  if (options.pmem) {
    return Fail(Errc::kUnsupported, "pmem=on: there is no persistent memory yet");
  }
  if (options.readonly) {
    return Fail(Errc::kUnsupported, "readonly=on: a guest's RAM has to be writable");
  }
  return {};
}

Result<unsigned> NodeFrom(std::string_view text) {
  unsigned node = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), node);
  if (error != std::errc() || end != text.data() + text.size() || node >= kMostHostNodes) {
    return Fail(Errc::kInvalidArgument, "host-nodes: '{}' is no node of a host; write 0, 0-3 or [0,1]", text);
  }
  return node;
}

// "0", "0-3", 0 or [0,1].
Result<std::vector<unsigned>> HostNodes(const boost::json::value& value) {
  std::vector<unsigned> nodes;
  if (const boost::json::array* list = value.if_array()) {
    for (const boost::json::value& item : *list) {
      const std::vector<unsigned> more = TRY(HostNodes(item));
      nodes.insert(nodes.end(), more.begin(), more.end());
    }
    return nodes;
  }
  if (!value.is_string()) {
    nodes.push_back(TRY(NodeFrom(JsonText(value))));
    return nodes;
  }
  const std::string_view text = value.get_string();
  const size_t dash = text.find('-');
  const unsigned first = TRY(NodeFrom(text.substr(0, dash)));
  const unsigned last = dash == std::string_view::npos ? first : TRY(NodeFrom(text.substr(dash + 1)));
  for (unsigned node = first; node <= last; ++node) {
    nodes.push_back(node);
  }
  return nodes;
}

RamBlock::Options BlockOptions(const BackendOptions& options, const MachineConfig& config) {
  RamBlock::Options block;
  block.mergeable = options.merge.value_or(config.mem_merge);
  block.in_core_dump = options.dump.value_or(config.dump_guest_core);
  block.shared = options.share.value_or(false);
  block.reserve = options.reserve.value_or(false);
  return block;
}

// The id of its migration section, as QEMU names it.
std::string BlockName(const BackendOptions& options, bool canonical) {
  return options.x_use_canonical_path_for_ramblock_id.value_or(canonical) ? "/objects/" + options.id
                                                                          : options.id;
}

Result<MemoryBackend> Finish(const BackendOptions& options, const MachineConfig& config,
                             std::shared_ptr<RamBlock> block) {
  const std::vector<unsigned> nodes =
      options.host_nodes ? TRY(HostNodes(*options.host_nodes)) : std::vector<unsigned>();
  TRY(SetNumaPolicy(*block, options.policy, nodes));
  if (options.prealloc) {
    TRY(Prefault(*block, options.prealloc_threads.value_or(config.smp.cpus)));
  }
  return MemoryBackend{options.id, std::move(block)};
}

template <class Options>
Result<Options> Parse(const boost::json::object& bag, std::string_view type) {
  return FromJson<Options>(bag, {.path = std::string(type), .field_word = "property", .lenient = true});
}

Result<MemoryBackend> CreateAnonymous(const MachineConfig& config, const boost::json::object& bag) {
  const auto options = TRY(Parse<BackendOptions>(bag, "memory-backend-ram"));
  std::shared_ptr<RamBlock> block =
      TRY(RamBlock::CreateAnonymous(BlockName(options, false), options.size, BlockOptions(options, config)));
  return Finish(options, config, std::move(block));
}

Result<MemoryBackend> CreateMemfd(const MachineConfig& config, const boost::json::object& bag) {
  const auto options = TRY(Parse<MemfdOptions>(bag, "memory-backend-memfd"));
  unsigned flags = MFD_CLOEXEC | (options.seal ? MFD_ALLOW_SEALING : 0U);
  if (options.hugetlb) {
    flags |= MFD_HUGETLB;
    if (options.hugetlbsize) {
      flags |= static_cast<unsigned>(__builtin_ctzll(*options.hugetlbsize)) << MFD_HUGE_SHIFT;
    }
  }
  UniqueFd file(memfd_create(options.id.c_str(), flags));
  if (!file) {
    return FailErrno(errno, "memory {}: cannot make a memfd{}", options.id,
                     options.hugetlb ? " of huge pages; does the kernel have pages of this size?" : "");
  }
  if (ftruncate(file.get(), static_cast<off_t>(options.size)) != 0) {
    return FailErrno(errno, "memory {}: cannot give its memfd {} bytes", options.id, options.size);
  }
  if (options.seal && fcntl(file.get(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    return FailErrno(errno, "memory {}: cannot seal the size of its memfd", options.id);
  }
  RamBlock::Options block_options = BlockOptions(options, config);
  block_options.shared = options.share.value_or(true);
  block_options.reserve = options.reserve.value_or(options.hugetlb);  // huge pages are there now or never
  std::shared_ptr<RamBlock> block =
      TRY(RamBlock::CreateFromFile(BlockName(options, true), std::move(file), options.size, block_options));
  return Finish(options, config, std::move(block));
}

// A directory gets a file without a name; a new or empty file grows; any other must be long enough.
Result<UniqueFd> OpenMemoryFile(Opener& opener, const FileOptions& options) {
  constexpr mode_t kMode = 0644;
  UniqueFd file;
  if (opener.OpenDirectory(options.mem_path)) {
    file = TRY(opener.Open(options.mem_path, O_TMPFILE | O_RDWR, kMode));
  } else {
    file = TRY(opener.Open(options.mem_path, O_CREAT | O_RDWR, kMode));
  }
  struct stat status {};
  if (fstat(file.get(), &status) != 0) {
    return FailErrno(errno, "memory {}: cannot ask for the size of '{}'", options.id, options.mem_path);
  }
  if (!S_ISREG(status.st_mode)) {
    return Fail(Errc::kInvalidArgument, "memory {}: '{}' is no regular file", options.id, options.mem_path);
  }
  const auto length = static_cast<uint64_t>(status.st_size);
  if (length == 0 && ftruncate(file.get(), static_cast<off_t>(options.size)) != 0) {
    return FailErrno(errno, "memory {}: cannot give '{}' {} bytes", options.id, options.mem_path,
                     options.size);
  }
  if (length != 0 && length < options.size) {
    return Fail(Errc::kInvalidArgument, "memory {}: '{}' has {} bytes and size= asks for {}", options.id,
                options.mem_path, length, options.size);
  }
  return file;
}

Result<MemoryBackend> CreateFile(Opener& opener, const MachineConfig& config,
                                 const boost::json::object& bag) {
  const auto options = TRY(Parse<FileOptions>(bag, "memory-backend-file"));
  UniqueFd file = TRY(OpenMemoryFile(opener, options));
  RamBlock::Options block_options = BlockOptions(options, config);
  block_options.discard = options.discard_data;
  std::shared_ptr<RamBlock> block =
      TRY(RamBlock::CreateFromFile(BlockName(options, true), std::move(file), options.size, block_options));
  return Finish(options, config, std::move(block));
}

}  // namespace

const TypeInfo& RamBackendOptionsType() { return TypeOf<BackendOptions>(); }
const TypeInfo& MemfdBackendOptionsType() { return TypeOf<MemfdOptions>(); }
const TypeInfo& FileBackendOptionsType() { return TypeOf<FileOptions>(); }

Result<MemoryBackend> CreateMemoryBackend(Opener& opener, const MachineConfig& config, const OptionBag& bag) {
  boost::json::object values = bag.values;
  const std::string type(values.at("qom-type").get_string());
  values.erase("qom-type");
  if (type == "memory-backend-memfd") {
    return Prefix(CreateMemfd(config, values), bag.source);
  }
  if (type == "memory-backend-file") {
    return Prefix(CreateFile(opener, config, values), bag.source);
  }
  return Prefix(CreateAnonymous(config, values), bag.source);
}

}  // namespace nandu
