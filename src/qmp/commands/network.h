// The network's events. Control loop.
#pragma once

namespace nandu {

class QmpRegistry;
void DeclareNetworkEvents(QmpRegistry& registry);

}  // namespace nandu
