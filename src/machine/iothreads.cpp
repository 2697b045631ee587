#include "machine/iothreads.h"

#include "base/described.h"

namespace nandu {
namespace {

struct IothreadOptions {
  std::string id;
  int64_t poll_max_ns = 32'768;
};
BOOST_DESCRIBE_STRUCT(IothreadOptions, (), (id, poll_max_ns))

Result<> Validate(const IothreadOptions& options) {
  if (options.id.empty()) {
    return Fail(Errc::kInvalidArgument, "an iothread needs id=");
  }
  if (options.poll_max_ns < 0 || options.poll_max_ns > 1'000'000'000) {
    return Fail(Errc::kInvalidArgument, "poll-max-ns must lie between 0 and 1000000000");
  }
  return {};
}

}  // namespace

const TypeInfo& IothreadOptionsType() { return TypeOf<IothreadOptions>(); }

IoThreads::~IoThreads() { StopAll(); }

Result<std::unique_ptr<IoLoop>> IoThreads::StartLoop(const std::string& name, const IoLoopOptions& options) {
  std::unique_ptr<IoLoop> loop = TRY(IoLoop::Create(name, options));
  if (fallback_reason_.empty()) {
    fallback_reason_ = loop->fallback_reason();
  }
  TRY(loop->Start());
  return loop;
}

void IoThreads::StopAll() {
  loops_.clear();
  default_.reset();
}

Result<> IoThreads::Add(const OptionBag& bag) {
  const IothreadOptions options = TRY(Prefix(
      FromJson<IothreadOptions>(bag.values, {.path = "iothread", .field_word = "property", .lenient = true}),
      bag.source));
  if (loops_.contains(options.id)) {
    return Fail(Errc::kExists, "{}: there is an iothread '{}' already", bag.source, options.id);
  }
  IoLoopOptions loop_options;
  loop_options.poll_max_ns = options.poll_max_ns;
  std::unique_ptr<IoLoop> loop = TRY(Prefix(StartLoop(options.id, loop_options), bag.source));
  loops_.emplace(options.id, Entry{std::move(loop), options.poll_max_ns});
  return {};
}

Result<EventLoop*> IoThreads::Find(std::string_view id) {
  if (id.empty()) {
    if (!default_) {
      default_ = TRY(StartLoop("default", {}));
    }
    return default_.get();
  }
  const auto found = loops_.find(id);
  if (found == loops_.end()) {
    return Fail(Errc::kNotFound, "there is no iothread '{}'; add -object iothread,id={}", id, id);
  }
  return found->second.loop.get();
}

std::vector<IoThreads::Info> IoThreads::List() const {
  std::vector<Info> list;
  for (const auto& [id, entry] : loops_) {
    list.push_back({id, entry.loop->thread_id(), entry.poll_max_ns});
  }
  return list;
}

}  // namespace nandu
