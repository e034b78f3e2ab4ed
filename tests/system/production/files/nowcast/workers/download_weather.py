from nowcast.workers import plain

plain.main("download_weather", lambda config, tell, args: (
    f"success {args[0]}", {args[0]: "/weather/" + args[1], "forecasts": config["weather"]["download"]["2.5 km"]["forecasts"]}))
