// The machine's network facet.
#include "machine/machine_impl.h"
#include "net/user.h"

namespace nandu {

void Machine::AddHostForward(std::string_view netdev, std::string_view rule, UniqueFunction<void(Result<>)> done) {
  if (Result<std::shared_ptr<UserNet>> net = impl_->backends.netdevs.FindUserNet(netdev)) {
    (*net)->AddHostForward(std::string(rule), std::move(done));
  } else {
    done(tl::unexpected<Error>(std::move(net).error()));
  }
}

void Machine::RemoveHostForward(std::string_view netdev, std::string_view rule,
                                UniqueFunction<void(Result<>)> done) {
  if (Result<std::shared_ptr<UserNet>> net = impl_->backends.netdevs.FindUserNet(netdev)) {
    (*net)->RemoveHostForward(std::string(rule), std::move(done));
  } else {
    done(tl::unexpected<Error>(std::move(net).error()));
  }
}

void Machine::ListUserNets(UniqueFunction<void(std::string text)> done) {
  // Each answers from its thread; the last one to answer completes the text, in the order of ids.
  struct Answers {
    std::vector<std::string> texts;
    size_t missing = 0;
    UniqueFunction<void(std::string)> done;
  };
  const std::vector<std::shared_ptr<UserNet>> nets = impl_->backends.netdevs.user_nets();
  if (nets.empty()) {
    done({});
    return;
  }
  auto answers = std::make_shared<Answers>();
  answers->texts.resize(nets.size());
  answers->missing = nets.size();
  answers->done = std::move(done);
  for (size_t i = 0; i < nets.size(); ++i) {
    nets[i]->ListConnections([answers, i, id = nets[i]->id()](const std::string& text) {
      answers->texts[i] = Format("Hub -1 ({}):\n{}", id, text);
      if (--answers->missing == 0) {
        std::string all;
        for (const std::string& each : answers->texts) {
          all += each;
        }
        answers->done(std::move(all));
      }
    });
  }
}

}  // namespace nandu
