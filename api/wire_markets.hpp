// JSON of public market data: books, markets, trades, candles. Called by markets.cpp and by
// server/'s market feed; pure functions. Nothing here names a person, a node or a request.
#pragma once

#include <string>
#include <string_view>

#include "api/json_writer.hpp"
#include "db/rows.hpp"
#include "matching/views.hpp"

namespace cocoon::api {

// The order book as /v1/markets/{name}/book answers it and the SSE feed sends it.
std::string book_json(const matching::MarketView& view, std::size_t levels_max);

void write_market_members(JsonWriter& out, const db::MarketRow& row);
void write_trade_members(JsonWriter& out, const db::TradeRow& row);
void write_candle_members(JsonWriter& out, const db::CandleRow& row);

}  // namespace cocoon::api
