// What tests/system/qcow2.host.py compares with qemu-img: the qcow2 node and library without a VM around
// them.
//
//   qcow2_tool dump IMAGE OUT               every byte the disk shows, as a raw file
//   qcow2_tool work IMAGE SEED COUNT OUT    COUNT random operations on the disk, as a guest would; OUT is
//   what it must hold then qcow2_tool create IMAGE SIZE [KEY=VALUE...] qcow2_tool check IMAGE prints
//   "CORRUPTIONS LEAKS" qcow2_tool snapshot IMAGE create|apply|delete NAME qcow2_tool resize IMAGE SIZE
//   qcow2_tool cuts DIR SEED COUNT SIZE [KEY=VALUE...]   COUNT images as a power cut leaves them, each at a
//   random write of a
//                                           random workload with any part of what was not flushed:
//                                           DIR/0.qcow2 ...
#include <boost/json/object.hpp>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include "block/block_graph.h"
#include "block/file_geometry.h"
#include "block/qcow2/create.h"
#include "support/block_request.h"
#include "support/fault_file.h"
#include "support/manual_loop.h"
#include "unit/block/qcow2/disk_model.h"

namespace nandu::qcow2 {
namespace {

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "qcow2_tool: %s\n", why.c_str());
  std::exit(1);
}

template <class T>
T Must(Result<T> result) {
  if (!result) {
    Die(result.error().message);
  }
  if constexpr (!std::is_void_v<T>) {
    return std::move(result).value();
  }
}

// The disk as a device has it: a -drive, and a channel.
class Disk {
 public:
  Disk(const std::string& image, bool read_only) {
    boost::json::object options{
        {"file", image}, {"format", "qcow2"}, {"discard", "unmap"}, {"read-only", read_only}};
    for (const char* extra :
         {"l2-cache-size", "l2-cache-entry-size", "refcount-cache-size", "cache", "lazy-refcounts"}) {
      std::string name = "QCOW2_" + std::string(extra);
      std::replace(name.begin(), name.end(), '-', '_');
      if (const char* value = std::getenv(name.c_str())) {
        options[extra] = value;
      }
    }
    Must(graph_.AddDrive("disk", options));
    node_ = Must(graph_.Claim("disk", "the tool"));
    channel_ = Must(node_->OpenChannel(*loop_));
  }
  uint64_t size() const { return node_->limits().size_bytes; }
  void Serve(TestRequest& request) {
    channel_->Submit(&request);
    loop_.RunUntil([&] { return request.status.has_value(); });
    if (request.status != BlkStatus::kOk) {
      Die("a request failed at " + std::to_string(request.offset) + "+" + std::to_string(request.bytes));
    }
  }
  std::vector<std::byte> Read(uint64_t offset, uint64_t bytes) {
    TestRequest request(BlockRequest::Op::kRead, offset, bytes);
    Serve(request);
    return std::move(request.memory);
  }
  void Do(DiskModel& model, const Operation& next) {
    const auto begin = model.content.begin() + static_cast<std::ptrdiff_t>(next.offset);
    static constexpr BlockRequest::Op kOps[] = {BlockRequest::Op::kWrite, BlockRequest::Op::kWriteZeroes,
                                                BlockRequest::Op::kWriteZeroes, BlockRequest::Op::kDiscard,
                                                BlockRequest::Op::kFlush};
    const BlockRequest::Op op = kOps[static_cast<size_t>(next.kind)];
    TestRequest request(op, op == BlockRequest::Op::kFlush ? 0 : next.offset,
                        op == BlockRequest::Op::kFlush ? 0 : next.bytes);
    request.may_unmap = next.kind == Operation::Kind::kZeroUnmap;
    if (op == BlockRequest::Op::kWrite) {
      request.memory = model.RandomBytes(next.bytes);
      request.Cut({});
      std::copy(request.memory.begin(), request.memory.end(), begin);
    } else if (op == BlockRequest::Op::kWriteZeroes) {
      std::fill_n(begin, next.bytes, std::byte{0});
    }
    Serve(request);
    if (next.kind == Operation::Kind::kDiscard) {
      const std::vector<std::byte> now = Read(next.offset, next.bytes);
      std::copy(now.begin(), now.end(), begin);
    }
  }

 private:
  EngineLoop loop_;
  std::unique_ptr<Opener> opener_ = CreateInProcessOpener();
  BlockGraph graph_{*opener_};
  std::shared_ptr<BlockNode> node_;
  std::unique_ptr<BlockChannel> channel_;
};

// The library alone over a file.
struct Library {
  explicit Library(const std::string& path, int flags = O_RDWR) : backend(std::make_shared<FileBackend>()) {
    backend->fd = UniqueFd(::open(path.c_str(), flags | O_CLOEXEC, 0644));
    backend->path = path;
    if (!backend->fd) {
      Die("cannot open " + path);
    }
    Must(ReadGeometry(*backend));
    file.emplace(backend);
    Must(file->Refresh());
  }
  // With what the image names: its data file, and a raw backing file.
  std::unique_ptr<Image> Open(bool writable) {
    const Header header = Must(ReadHeader(*file));
    if (!header.data_file.empty()) {
      data_file = std::make_unique<Library>(Beside(header.data_file), writable ? O_RDWR : O_RDONLY);
    }
    if (!header.backing_file.empty() && writable) {
      if (header.backing_format != "raw") {
        Die("a backing file is raw here, not '" + header.backing_format + "'");
      }
      backing = std::make_unique<Library>(Beside(header.backing_file), O_RDONLY);
    }
    return Must(Image::Open({.file = &*file,
                             .data_file = data_file ? &*data_file->file : nullptr,
                             .backing = backing ? &*backing->file : nullptr,
                             .writable = writable}));
  }
  std::string Beside(const std::string& name) const {
    return std::filesystem::path(backend->path).parent_path() / name;
  }

  std::shared_ptr<FileBackend> backend;
  std::optional<BackendFile> file;
  std::unique_ptr<Library> data_file;
  std::unique_ptr<Library> backing;
};

void Save(const std::string& path, const std::vector<std::byte>& bytes) {
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

std::vector<std::byte> ReadAll(Disk& disk) {
  std::vector<std::byte> all;
  constexpr uint64_t kChunk = 1 << 20;
  for (uint64_t at = 0; at < disk.size(); at += kChunk) {
    const std::vector<std::byte> part = disk.Read(at, std::min(kChunk, disk.size() - at));
    all.insert(all.end(), part.begin(), part.end());
  }
  return all;
}

void Work(const std::string& image, uint64_t seed, uint64_t count, const std::string& out) {
  Disk disk(image, false);
  DiskModel model(disk.size(), seed);
  model.content = ReadAll(disk);
  for (uint64_t i = 0; i < count; ++i) {
    disk.Do(model, model.Next());
  }
  if (ReadAll(disk) != model.content) {
    Die("the disk does not hold what was written");
  }
  Save(out, model.content);
}

// SIZE [KEY=VALUE...]
CreateOptions CreateFrom(const std::vector<std::string>& words) {
  CreateOptions options;
  options.size_bytes = std::strtoull(words.at(0).c_str(), nullptr, 10);
  for (size_t i = 1; i < words.size(); ++i) {
    const size_t equals = words[i].find('=');
    const std::string key = words[i].substr(0, equals);
    const std::string value = words[i].substr(equals + 1);
    const auto number = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 10));
    if (key == "version") {
      options.version = number;
    } else if (key == "cluster_bits") {
      options.cluster_bits = number;
    } else if (key == "refcount_order") {
      options.refcount_order = number;
    } else if (key == "lazy") {
      options.lazy_refcounts = number != 0;
    } else if (key == "extended_l2") {
      options.extended_l2 = number != 0;
    } else if (key == "zstd") {
      options.zstd = number != 0;
    } else if (key == "backing") {
      options.backing_file = value;
    } else if (key == "backing_fmt") {
      options.backing_format = value;
    } else if (key == "data_file") {
      options.data_file = value;
    } else if (key == "data_file_raw") {
      options.raw_data_file = number != 0;
    } else {
      Die("unknown option " + key);
    }
  }
  return options;
}

void MakeImage(const std::vector<std::string>& words) {
  const CreateOptions options = CreateFrom({words.begin() + 1, words.end()});
  Library made(words.at(0), O_RDWR | O_CREAT | O_TRUNC);
  Must(Create(*made.file, options));
}

void Cuts(const std::string& directory, uint64_t seed, uint64_t count, const CreateOptions& options) {
  MemoryFile fresh;
  Must(Create(fresh, options));
  PowerCutFile file(fresh.bytes);
  DiskModel model(options.size_bytes, seed);
  MemoryFile backing;
  if (!options.backing_file.empty()) {
    backing.bytes = model.RandomBytes(options.size_bytes / 2);
    std::copy(backing.bytes.begin(), backing.bytes.end(), model.content.begin());
    Save(directory + "/" + options.backing_file, backing.bytes);
  }
  const std::unique_ptr<Image> image =
      Must(Image::Open({.file = &file,
                        .backing = options.backing_file.empty() ? nullptr : &backing,
                        .writable = true,
                        .discard_freed = true}));
  std::mt19937 random(static_cast<unsigned>(seed));
  constexpr unsigned kOneOf = 7;  // not at every write, so that cuts lie far apart
  uint64_t cuts = 0;
  file.on_write = [&] {
    if (cuts < count && random() % kOneOf == 0) {
      Save(directory + "/" + std::to_string(cuts++) + ".qcow2", file.Cut(random));
    }
  };
  while (cuts < count) {
    Must(model.Do(*image, model.Next()));
  }
}

void Snapshots(const std::string& path, const std::string& verb, const std::string& name) {
  Library library(path);
  const std::unique_ptr<Image> image = library.Open(true);
  if (verb == "create") {
    Must(image->CreateSnapshot(name, 1700000000, 0));
  } else if (verb == "apply") {
    Must(image->ApplySnapshot(name));
  } else {
    Must(image->DeleteSnapshot(name));
  }
  Must(image->Close());
}

void Run(const std::vector<std::string>& words) {
  const std::string& verb = words.at(0);
  const std::string& image = words.at(1);
  if (verb == "dump") {
    Disk disk(image, true);
    Save(words.at(2), ReadAll(disk));
  } else if (verb == "work") {
    Work(image, std::strtoull(words.at(2).c_str(), nullptr, 10),
         std::strtoull(words.at(3).c_str(), nullptr, 10), words.at(4));
  } else if (verb == "create") {
    MakeImage({words.begin() + 1, words.end()});
  } else if (verb == "cuts") {
    Cuts(image, std::strtoull(words.at(2).c_str(), nullptr, 10),
         std::strtoull(words.at(3).c_str(), nullptr, 10), CreateFrom({words.begin() + 4, words.end()}));
  } else if (verb == "check") {
    Library library(image, O_RDONLY);
    const CheckReport report = Must(library.Open(false)->Check());
    std::printf("%llu %llu %s\n", static_cast<unsigned long long>(report.corruptions),
                static_cast<unsigned long long>(report.leaks), report.first_problem.c_str());
  } else if (verb == "snapshot") {
    Snapshots(image, words.at(2), words.at(3));
  } else if (verb == "resize") {
    Library library(image);
    const std::unique_ptr<Image> opened = library.Open(true);
    Must(opened->Resize(std::strtoull(words.at(2).c_str(), nullptr, 10)));
    Must(opened->Close());
  } else {
    Die("unknown verb " + verb);
  }
}

}  // namespace
}  // namespace nandu::qcow2

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: qcow2_tool VERB IMAGE ...; see the first lines of its source\n");
    return 2;
  }
  nandu::qcow2::Run({argv + 1, argv + argc});
  return 0;
}
