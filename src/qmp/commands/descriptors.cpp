// Field sets are those of QEMU 7.2, as its query-qmp-schema shows them.
#include "qmp/commands/descriptors.h"

#include <limits>
#include <optional>

#include "machine/facets.h"
#include "qmp/registry.h"

namespace nandu {

struct FdsetFdInfo {
  int64_t fd = -1;
  std::optional<std::string> opaque;
};
BOOST_DESCRIBE_STRUCT(FdsetFdInfo, (), (fd, opaque))
struct FdsetInfo {
  int64_t fdset_id = 0;
  std::vector<FdsetFdInfo> fds;
};
BOOST_DESCRIBE_STRUCT(FdsetInfo, (), (fdset_id, fds))
struct RemoveFdArgs {
  int64_t fdset_id = 0;
  std::optional<int64_t> fd;
};
BOOST_DESCRIBE_STRUCT(RemoveFdArgs, (), (fdset_id, fd))

void BindDescriptorCommands(QmpRegistry& registry, DescriptorFacet& descriptors) {
  registry.Bind<Nothing, std::vector<FdsetInfo>>(
      "query-fdsets", [&descriptors](Nothing, Reply<std::vector<FdsetInfo>> reply) {
        std::vector<FdsetInfo> sets;
        for (const FdSetFacts& facts : descriptors.QueryFdSets()) {
          FdsetInfo set;
          set.fdset_id = facts.id;
          for (const FdSetFacts::Member& member : facts.members) {
            set.fds.push_back({member.fd, member.opaque});
          }
          sets.push_back(std::move(set));
        }
        reply.Return(sets);
      });
  registry.Bind<RemoveFdArgs, Nothing>(
      "remove-fd", [&descriptors](const RemoveFdArgs& args, Reply<Nothing> reply) {
        std::optional<int> fd;
        if (args.fd) {
          fd = *args.fd < 0 || *args.fd > std::numeric_limits<int>::max() ? -1 : static_cast<int>(*args.fd);
        }
        reply.Finish(descriptors.RemoveFd(args.fdset_id, fd));
      });
}

}  // namespace nandu
