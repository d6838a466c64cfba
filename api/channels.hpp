// What the handlers of payment channels need: whom a channel must pay, and what is remembered of
// channels. Made once by server/app.cpp where channels are taken; any waiting worker. Knows no
// HTTP.
#pragma once

#include "db/channels.hpp"

namespace cocoon::api {

struct ChannelMarket {
    db::Channels& store;
    settlement::ton::ChannelPayee payee;
    settlement::ton::Network network = settlement::ton::Network::mainnet;
};

}  // namespace cocoon::api
