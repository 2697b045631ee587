// snapshot=on: a drive whose image is only read. What the guest writes goes to a temporary qcow2 image over
// it, which has no name once it is open and so is gone with the process, however that ends.
#include <cstdlib>
#include <fcntl.h>
#include <sys/random.h>

#include "block/block_graph.h"
#include "block/file_node.h"
#include "block/qcow2/backend_file.h"
#include "block/qcow2/create.h"

namespace nandu {
namespace {

constexpr unsigned kAttempts = 100;

std::string TemporaryDirectory() {
  const char* const named = std::getenv("TMPDIR");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  return named != nullptr && *named != '\0' ? named : "/var/tmp";  // not /tmp, which may be memory
}

// An empty file that only its owner may read.
Result<std::string> MakeTemporaryFile(Opener& opener) {
  const std::string directory = TemporaryDirectory();
  for (unsigned attempt = 0; attempt < kAttempts; ++attempt) {
    uint64_t number = 0;
    if (::getrandom(&number, sizeof(number), 0) != sizeof(number)) {
      return FailErrno(errno, "getrandom");
    }
    std::string path = Format("{}/nandu.{:016x}", directory, number);
    const Result<UniqueFd> made = opener.Open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (made) {
      return path;
    }
    if (made.error().sys_errno != EEXIST) {
      return tl::unexpected<Error>(
          WithContext(made.error(), "snapshot=on: no room for what is written ($TMPDIR says where)"));
    }
  }
  return Fail(Errc::kExists, "snapshot=on: {} has every name taken", directory);
}

}  // namespace

Result<std::shared_ptr<GraphNode>> BlockGraph::BuildSnapshotDrive(const DriveOptions& drive) {
  DriveOptions read = drive;
  read.snapshot = false;
  read.read_only = true;
  read.readonly.reset();
  read.node_name.reset();
  read.discard.reset();
  read.detect_zeroes.reset();
  const std::shared_ptr<GraphNode> base = TRY(BuildDrive(read));

  FileConfig file;
  file.node_name = TRY(NameNode(std::nullopt, Naming::kMay));
  file.filename = TRY(MakeTemporaryFile(opener_));
  file.no_flush = true;  // nobody reads it after a crash
  file.unmap = true;
  auto opened = FileNode::Open(opener_, file);
  TRY(opener_.Remove(file.filename));
  const std::shared_ptr<FileNode> protocol = TRY(std::move(opened));
  qcow2::BackendFile empty(protocol->backend());
  TRY(empty.Refresh());
  qcow2::CreateOptions create;
  create.size_bytes = base->limits().size_bytes;
  TRY(Prefix(qcow2::Create(empty, create), "snapshot=on"));
  nodes_[file.node_name] = protocol;

  Qcow2Config overlay;
  overlay.node_name = TRY(NameNode(drive.node_name, Naming::kMay));
  overlay.unmap = Unmaps(drive.discard);
  overlay.detect_zeroes = drive.detect_zeroes.value_or(DetectZeroes::kOff);
  TRY(CheckDetectZeroes(overlay.detect_zeroes, overlay.unmap));
  return BuildQcow2Over(overlay, {.file = protocol, .data_file = nullptr, .backing = base}, true, {},
                        FormatFrom::kOptions);
}

}  // namespace nandu
