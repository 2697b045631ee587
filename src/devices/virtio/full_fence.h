// The fence between telling the other side of a ring something and looking at what it said: store, fence,
// load on both sides, so that at least one of them sees the other's. TSan does not model fences and needs
// none: data is published by release stores and acquire loads.
#pragma once

namespace nandu {

#pragma GCC diagnostic push
#if defined(__SANITIZE_THREAD__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wtsan"
#endif
inline void FullFence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
#pragma GCC diagnostic pop

}  // namespace nandu
