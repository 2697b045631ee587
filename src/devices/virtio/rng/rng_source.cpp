#include "devices/virtio/rng/rng_source.h"

#include <algorithm>
#include <sys/random.h>

namespace nandu {

size_t HostEntropy::Fill(std::span<const iovec> into, size_t bytes) {
  size_t filled = 0;
  for (const iovec& to : into) {
    size_t done = 0;
    const size_t wanted = std::min(to.iov_len, bytes - filled);
    while (done < wanted) {
      // Refuses only before the host's pool was seeded; a signal may cut a long request short.
      const ssize_t got =
          ::getrandom(static_cast<std::byte*>(to.iov_base) + done, wanted - done, GRND_NONBLOCK);
      if (got <= 0) {
        return filled + done;
      }
      done += static_cast<size_t>(got);
    }
    filled += done;
  }
  return filled;
}

}  // namespace nandu
